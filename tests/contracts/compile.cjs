// Compiles the contracts of this folder and prints `{Name: {abi, bytecode, runtime}}` as JSON.
// It needs `npm ci` in tests/interop.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const solc = require('../interop/node_modules/solc');

const files = fs.readdirSync(__dirname).filter((file) => file.endsWith('.sol'));
const read = (file) => ({ content: fs.readFileSync(path.join(__dirname, file), 'utf8') });
const input = {
  language: 'Solidity',
  sources: Object.fromEntries(files.map((file) => [file, read(file)])),
  settings: {
    evmVersion: 'cancun',
    optimizer: { enabled: true },
    metadata: { appendCBOR: false },
    outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
if (output.errors?.length) {
  console.error(output.errors.map((error) => error.formattedMessage).join('\n'));
  process.exit(1);
}
const compiled = {};
for (const file of files) {
  const name = path.basename(file, '.sol');
  const { abi, evm } = output.contracts[file][name];
  compiled[name] = {
    abi,
    bytecode: `0x${evm.bytecode.object}`,
    runtime: `0x${evm.deployedBytecode.object}`,
  };
}
process.stdout.write(JSON.stringify(compiled));
