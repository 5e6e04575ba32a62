'use strict';
// A wallet with the published XMTP JavaScript client, driven by lines of JSON: what the benchmarks (`javascript.rs`) talk to.
//
//   {"connect": {"url": "http://…", "key": "0x…"}}                         -> {"address": "0x…"}
//   {"send": {"to": ["0x…", …], "count": 256, "in_flight": 16, "text": "gm"}} -> {"ms": 812.5}
//
// `send` writes `count` messages to the wallets in turn, to strangers as to acquaintances, with so many on their way at any
// time, and answers when the node has all. Conversations that were opened before are kept, as applications do.

const path = require('node:path');
const { createInterface } = require('node:readline');
const { createRequire } = require('node:module');
const peers = createRequire(path.join(__dirname, '../interop/package.json'));
const { Wallet } = peers('ethers');
const { Client } = peers('@xmtp/xmtp-js');

let client;
const conversations = new Map();

const commands = {
  async connect({ url, key }) {
    client = await Client.create(new Wallet(key), { env: 'local', apiUrl: url });
    return { address: client.address };
  },

  async send({ to, count, in_flight: inFlight, text }) {
    let next = 0;
    const sender = async () => {
      while (next < count) {
        const conversation = await conversationWith(to[next++ % to.length]);
        await conversation.send(text);
      }
    };
    const started = performance.now();
    await Promise.all(Array.from({ length: inFlight }, sender));
    return { ms: performance.now() - started };
  },
};

async function conversationWith(address) {
  if (!conversations.has(address)) conversations.set(address, await client.conversations.newConversation(address));
  return conversations.get(address);
}

(async () => {
  for await (const line of createInterface({ input: process.stdin })) {
    const [[name, given]] = Object.entries(JSON.parse(line));
    process.stdout.write(`${JSON.stringify(await commands[name](given))}\n`);
  }
  // The client keeps a timer.
  process.exit(0);
})();
