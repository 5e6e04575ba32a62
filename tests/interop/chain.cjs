'use strict';
// A chain of its own for a test.

const { execFileSync, spawn } = require('node:child_process');
const path = require('node:path');
const { Contract, ContractFactory, Wallet, providers, utils } = require('ethers');
const { atEnd } = require('./ending.cjs');
const { until } = require('./wait.cjs');

// The first account of anvil, which owns coins.
const RICH = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';

/** An EVM node that makes a block of each transaction, and the contracts of tests/contracts to put on it; `more` are arguments of anvil. */
async function chain(t, ...more) {
  const [system, machine] = [process.platform, { x64: 'amd64' }[process.arch] ?? process.arch];
  const program = path.join(__dirname, `node_modules/@foundry-rs/anvil-${system}-${machine}/bin/anvil`);
  const child = spawn(program, ['--port', '0', ...more], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => child.kill('SIGKILL'));
  const ended = new Promise((resolve) => child.on('close', resolve));
  atEnd(t, () => (child.kill('SIGKILL'), ended));
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (said = (said + text).slice(-20_000)));
  const [, address] = await until('anvil to listen', () => /Listening on (\S+)/.exec(said), { show: () => said });
  const url = `http://${address}`;
  const wallet = new Wallet(RICH, new providers.StaticJsonRpcProvider(url));
  const deploy = async (name) => {
    const { abi, bytecode } = contracts()[name];
    return (await new ContractFactory(abi, bytecode, wallet).deploy()).deployed();
  };
  const mine = (blocks) => wallet.provider.send('anvil_mine', [utils.hexValue(blocks)]);
  const put = async (name, address) => {
    const { abi, runtime } = contracts()[name];
    await wallet.provider.send('anvil_setCode', [address, runtime]);
    return new Contract(address, abi, wallet);
  };
  return { url, deploy, put, mine };
}

let compiled;
function contracts() {
  const compile = path.join(__dirname, '../contracts/compile.cjs');
  return (compiled ??= JSON.parse(execFileSync(process.execPath, [compile], { maxBuffer: 64 * 1024 * 1024 })));
}

module.exports = { chain, contracts };
