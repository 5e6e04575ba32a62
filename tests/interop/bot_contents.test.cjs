'use strict';
// What a YAML bot sends beside text, as its readers' JavaScript client knows it.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const { AttachmentCodec, RemoteAttachmentCodec } = require('@xmtp/content-type-remote-attachment');
const { Wallet } = require('ethers');
const { text, toPlain } = require('./contents.cjs');
const { folder, runBot } = require('./herald.cjs');
const { Peer, plainly } = require('./peer.cjs');
const { until } = require('./wait.cjs');

const timeout = 90_000;
const source = path.join(__dirname, 'bots/press.yaml');
const environment = () => ({ PRESS_KEY: Wallet.createRandom().privateKey });

function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** The bot beside a project whose API shows what it uploads. */
async function press(t) {
  const api = `127.0.0.1:${await freePort()}`;
  const home = folder(t);
  fs.copyFileSync(source, path.join(home, 'press.yaml'));
  const uploads = `{ local: { folder: uploads, public: http://${api}/uploads } }`;
  fs.writeFileSync(path.join(home, 'herald.yaml'), `herald: 1\nuploads: ${uploads}\n`);
  return runBot(t, path.join(home, 'press.yaml'), { environment: environment(), again: { data: folder(t), api } });
}

/** Waits until a conversation holds as many messages. */
async function holding(conversation, count) {
  let messages = [];
  const look = async () => (messages = await conversation.messages()).length >= count;
  await until(`${count} messages`, look, { show: () => JSON.stringify(plainly(messages)) });
  assert.equal(messages.length, count);
  return messages;
}

test('each kind of part is what its codec knows, in the conversation of its thread', { timeout }, async (t) => {
  const bot = await press(t);
  const alice = await Peer.signIn(t, bot.apiUrl);
  const tx = `0x${'ab'.repeat(32)}`;
  await bot.fire('issue', { wallet: alice.address, number: 7, tx });
  const conversation = await alice.conversationWith(bot.address);
  assert.deepEqual(conversation.context, {
    conversationId: 'issues/7',
    metadata: {
      'displayInfo.prettyName': 'The Press',
      'displayInfo.profileImage': 'https://press.example/icon.png',
      'displayInfo.primaryColor': '#6b5cff',
    },
  });
  const messages = await holding(conversation, 5);
  const [markdown, attached, remote, transaction, vote] = plainly(messages);
  const file = { type: 'attachment', filename: 'press.yaml', mime_type: 'application/octet-stream', data: fs.readFileSync(source, 'base64') };
  assert.deepEqual(markdown, text('**Issue 7**'));
  assert.deepEqual(attached, file);
  assert.equal(remote.type, 'remote_attachment');
  const loaded = await RemoteAttachmentCodec.load(messages[2].content, alice.client);
  assert.deepEqual(toPlain(loaded, new AttachmentCodec().contentType), file);
  assert.deepEqual(transaction, { type: 'transaction_reference', namespace: 'eip155', network_id: 8453, reference: tx });
  assert.deepEqual(vote, { type: 'encoded', content_type: 'press.example/vote:1.0' });
  assert.equal(messages[4].contentFallback, 'Vote on issue 7!');

  // Another thread is another conversation; the first one is left alone.
  await bot.fire('issue', { wallet: alice.address, number: 8, tx });
  const both = await until('a second conversation', async () => {
    const all = await alice.conversations();
    return all.length > 1 && all;
  });
  assert.deepEqual(both.map(({ context }) => context.conversationId).sort(), ['issues/7', 'issues/8']);
  await holding(both.find(({ context }) => context.conversationId === 'issues/8'), 5);
  await holding(conversation, 5);
});

test('a reaction and a reply speak of the message that JavaScript sent', { timeout }, async (t) => {
  const bot = await press(t);
  const alice = await Peer.signIn(t, bot.apiUrl);
  const conversation = await alice.write(bot.address, '/ask');
  const [asked, ...answers] = await holding(conversation, 3);
  assert.deepEqual(plainly(answers), [
    { type: 'reaction', action: 'added', reference: asked.id, schema: 'unicode', content: '👀' },
    { type: 'reply', reference: asked.id, content: text('You said /ask.') },
  ]);
});
