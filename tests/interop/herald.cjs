'use strict';
// herald's real binaries, each on free ports and in a folder of its own. A program that a test started is ended by
// SIGTERM when the test ends and must then exit with 0.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { atEnd } = require('./ending.cjs');
const { until } = require('./wait.cjs');

const root = path.resolve(__dirname, '../..');
const HERALD = process.env.HERALD_BIN ?? path.join(root, 'target/debug/herald');
const NODE = process.env.HERALD_BIN_NODE ?? path.join(root, 'target/debug/herald-node');
const FREE_PORT = '127.0.0.1:0';

const running = new Set();
// A test file that is cut off must not leave programs behind.
process.on('exit', () => running.forEach((program) => program.child.kill('SIGKILL')));
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(1));

/** A folder that is gone after the test. */
function folder(t) {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'herald-interop-'));
  atEnd(t, () => fs.rmSync(made, { recursive: true, force: true }));
  return made;
}

/** A wallet's key in a file as herald wants it: nobody else may read it. */
function keyFile(t, wallet) {
  const file = path.join(folder(t), 'wallet.key');
  fs.writeFileSync(file, wallet.privateKey, { mode: 0o600 });
  return `file:${file}`;
}

/** One run of a binary: what it prints on standard output, line by line, as JSON where it is JSON. */
class Program {
  constructor(t, binary, args, environment = {}, stdin = 'ignore') {
    this.name = `${path.basename(binary)} ${args[0] ?? ''}`.trim();
    this.lines = [];
    this.talk = '';
    this.stopped = false;
    // Nothing of the developer's own environment or folder may decide a test.
    const env = { PATH: process.env.PATH, HOME: folder(t), RUST_BACKTRACE: '1', ...environment };
    this.child = spawn(binary, args, { cwd: env.HOME, env, stdio: [stdin, 'pipe', 'pipe'] });
    running.add(this);
    let rest = '';
    this.child.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      lines.filter(Boolean).forEach((line) => this.heard(read(line)));
    });
    this.child.stderr.setEncoding('utf8').on('data', (text) => (this.talk = (this.talk + text).slice(-20_000)));
    this.ended = new Promise((resolve) => {
      this.child.on('error', (error) => resolve(`could not start: ${error.message}`));
      this.child.on('close', (code, signal) => resolve(code ?? signal));
    }).then((how) => {
      running.delete(this);
      return (this.exit = how);
    });
    atEnd(t, () => this.stop());
  }

  /** Takes a line. */
  heard(line) {
    this.lines.push(line);
  }

  /** Asks the program to end, as an operator would. */
  end() {
    this.child.kill('SIGTERM');
  }

  /** Waits for a line that fits. */
  line(what, fits, seconds = 30) {
    const look = () => {
      const found = this.lines.find(fits);
      if (!found && this.exit !== undefined) throw new Error(`${this.name} ended with ${this.exit} before ${what}\n${this}`);
      return found;
    };
    return until(`${what} from ${this.name}`, look, { seconds, show: () => `${this}` });
  }

  /** Ends the program, and wants it to end well. */
  async stop() {
    if (this.stopped) return;
    this.stopped = true;
    if (this.exit === undefined) this.end();
    const deadline = setTimeout(() => this.child.kill('SIGKILL'), 20_000);
    const how = await this.ended;
    clearTimeout(deadline);
    assert.equal(how, 0, `${this.name} ended with ${how}\n${this}`);
  }

  toString() {
    const lines = this.lines.slice(-40).map((line) => JSON.stringify(line));
    return `--- ${this.name}, standard output\n${lines.join('\n')}\n--- standard error\n${this.talk}`;
  }
}

function read(line) {
  try {
    return JSON.parse(line);
  } catch {
    return line;
  }
}

/** A node alone. `again` is one that ended: the same ports and data. */
async function startNode(t, { again, config } = {}) {
  const data = again?.data ?? folder(t);
  const args = ['--http', again?.http ?? FREE_PORT, '--grpc', again?.grpc ?? FREE_PORT];
  args.push('--metrics', FREE_PORT, '--data', data);
  if (config) {
    fs.writeFileSync(path.join(data, 'node.yaml'), config);
    args.push('--config', path.join(data, 'node.yaml'));
  }
  const program = new Program(t, NODE, args);
  const { http, grpc } = await program.line('its addresses', (line) => line.event === 'ready');
  return { program, data, http, grpc, apiUrl: `http://${http}`, grpcUrl: `grpc://${grpc}`, stop: () => program.stop() };
}

/** `herald run` (or `dev`) of one bot with its built-in node. `again` is a run that ended: the same ports and data. */
async function runBot(t, file, { command = 'run', environment, again } = {}) {
  const data = again?.data ?? folder(t);
  const ports = ['http', 'grpc', 'metrics', 'api'].flatMap((name) => [`--${name}`, again?.[name] ?? FREE_PORT]);
  const program = new Program(t, HERALD, [command, file, '--json', '--data', data, ...ports], environment);
  const ready = await program.line('the bot to be ready', (line) => line.event === 'ready');
  return {
    program,
    data,
    ...ready,
    apiUrl: `http://${ready.http}`,
    grpcUrl: `grpc://${ready.grpc}`,
    stop: () => program.stop(),
    event: (event, wanted = {}) => program.line(`${event} ${JSON.stringify(wanted)}`, fitting({ event, ...wanted })),
    events: (event, wanted = {}) => program.lines.filter(fitting({ event, ...wanted })),
    fire: (rule, body) => fire(ready, data, rule, body),
  };
}

const fitting = (wanted) => (line) => Object.entries(wanted).every(([key, value]) => line[key] === value);

/** Fires a manual rule through herald's own API, as an operator does. */
async function fire({ api, bot }, data, rule, body) {
  const token = fs.readFileSync(path.join(data, 'api.token'), 'utf8').trim();
  const response = await fetch(`http://${api}/v1/bots/${bot}/rules/${rule}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const answer = await response.text();
  assert.ok(response.ok, `firing ${bot}/${rule} answered ${response.status}: ${answer}`);
}

/** A herald client of a wallet: the `send` and `inbox` commands with a cache of their own. */
function heraldClient(t, wallet, node) {
  const flags = ['--json', '--key', keyFile(t, wallet), '--node', node.grpcUrl, '--data', folder(t)];
  const run = async (...args) => {
    const program = new Program(t, HERALD, args);
    await until(`${program.name} to end`, () => program.exit !== undefined, { seconds: 30, show: () => `${program}` });
    await program.stop();
    return program.lines;
  };
  return {
    address: wallet.address,
    send: async (to, text) => (await run('send', to, text, ...flags))[0],
    inbox: () => run('inbox', ...flags),
    follow: () => new Program(t, HERALD, ['inbox', '--follow', ...flags]),
  };
}

module.exports = { Program, folder, heraldClient, root, runBot, startNode };
