'use strict';
// An announcement of a YAML bot as its readers' JavaScript client sees it.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { Wallet } = require('ethers');
const { runBot } = require('./herald.cjs');
const { Peer, heardExactly, holdsExactly } = require('./peer.cjs');

const timeout = 90_000;
const file = path.join(__dirname, 'bots/letters.yaml');
const environment = () => ({ LETTERS_KEY: Wallet.createRandom().privateKey });

test('who joined reads an announcement exactly once, live and in the history', { timeout }, async (t) => {
  const bot = await runBot(t, file, { environment: environment() });
  const [alice, stranger] = [await Peer.signIn(t, bot.apiUrl), await Peer.signIn(t, bot.apiUrl)];
  const everything = await alice.listenToAll();
  const conversation = await alice.client.conversations.newConversation(bot.address);
  await alice.follows(conversation);
  await conversation.send('/subscribe');
  const welcome = `Welcome, ${alice.address}.`;
  await heardExactly(everything, '/subscribe', welcome);
  const one = await alice.listenTo(conversation);

  await bot.fire('post', { title: 'Letter one', link: 'https://blog.example/1' });
  const delivered = await bot.event('delivered', { rule: 'post', wallet: alice.address });
  const text = 'LETTER ONE: https://blog.example/1';
  await heardExactly(one, text);
  assert.equal(one[0].senderAddress, bot.address);
  assert.equal(one[0].id, delivered.message);

  // What comes after proves that nothing came twice before it.
  await bot.fire('post', { title: 'two', link: '-' });
  await heardExactly(one, text, 'TWO: -');
  await heardExactly(everything, '/subscribe', welcome, text, 'TWO: -');
  await holdsExactly(conversation, '/subscribe', welcome, text, 'TWO: -');
  assert.equal((await alice.conversations()).length, 1);
  assert.deepEqual(await stranger.conversations(), []);
});

test('a bot that starts again repeats nothing and goes on in the same conversation', { timeout }, async (t) => {
  const secrets = environment();
  const first = await runBot(t, file, { environment: secrets });
  const alice = await Peer.signIn(t, first.apiUrl);
  const conversation = await alice.write(first.address, '/subscribe');
  const welcome = `Welcome, ${alice.address}.`;
  await holdsExactly(conversation, '/subscribe', welcome);
  await first.fire('post', { title: 'one', link: '-' });
  await holdsExactly(conversation, '/subscribe', welcome, 'ONE: -');
  const live = await alice.listenTo(conversation);
  await first.event('delivered', { rule: 'post' });
  const opened = alice.subscriptions().length;

  await first.stop();
  const second = await runBot(t, file, { environment: secrets, again: first });
  assert.equal(second.address, first.address);
  await alice.subscribed(conversation.topic, opened);
  await second.fire('post', { title: 'two', link: '-' });
  await heardExactly(live, 'TWO: -');
  await holdsExactly(conversation, '/subscribe', welcome, 'ONE: -', 'TWO: -');
  assert.equal((await alice.conversations()).length, 1);
});
