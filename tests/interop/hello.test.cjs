'use strict';
// bots/hello.yaml, the first bot of the README, under `herald dev`: with a test wallet and with a JavaScript client.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { root, runBot } = require('./herald.cjs');
const { Peer, heardExactly } = require('./peer.cjs');

test('dev makes the keys, joins its test wallet, shows its inbox, and serves everybody else', { timeout: 90_000 }, async (t) => {
  const bot = await runBot(t, path.join(root, 'bots/hello.yaml'), { command: 'dev' });
  const welcome = (topic) => `Welcome! You will hear about ${topic}. Write stop to leave.`;
  const shown = await bot.event('inbox', { text: 'Hello from the herald bot! This is the first announcement.' });
  assert.equal(shown.from, bot.address);
  assert.equal(bot.events('inbox', { text: welcome('everything') }).length, 1);

  const alice = await Peer.signIn(t, bot.apiUrl);
  const conversation = await alice.client.conversations.newConversation(bot.address);
  const heard = await alice.listenTo(conversation);
  const short = `${alice.address.slice(0, 4)}…${alice.address.slice(-2)}`;
  const said = [];
  const say = async (text, ...answers) => {
    await conversation.send(text);
    said.push(text, ...answers);
    await heardExactly(heard, ...said);
  };
  await say('gm', `Hello, ${short}!`, 'Write /subscribe to get the announcements.');
  await say('/subscribe weather', welcome('weather'));
  await say('Hello everybody', `Hello, ${short}!`);
  await say('/add 1.10 2', '1.10 + 2 = 3.10');
  await say('stop', 'You left. Write /subscribe to come back.');
  // The announcement went to who was a member then.
  assert.deepEqual(bot.events('delivered', { rule: 'news', wallet: alice.address }), []);
});
