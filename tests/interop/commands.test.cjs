'use strict';
// Talking to a bot from the JavaScript client: joining, commands, mistakes, leaving.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { Wallet } = require('ethers');
const { runBot } = require('./herald.cjs');
const { Peer, answerTo, heardExactly, holdsExactly } = require('./peer.cjs');

const timeout = 90_000;
const file = path.join(__dirname, 'bots/letters.yaml');
const start = (t) => runBot(t, file, { environment: { LETTERS_KEY: Wallet.createRandom().privateKey } });

/** A conversation with the bot: `say` sends a text and waits for the one answer, which it returns. */
async function talk(t, bot, peer) {
  const conversation = await peer.client.conversations.newConversation(bot.address);
  const heard = await peer.listenTo(conversation);
  const texts = [];
  const say = async (text, answer) => {
    await conversation.send(text);
    texts.push(text, answer);
    await heardExactly(heard, ...texts);
  };
  return { conversation, heard, texts, say };
}

test('commands with typed arguments are answered, in any case and with or without the slash', { timeout }, async (t) => {
  const bot = await start(t);
  const { say } = await talk(t, bot, await Peer.signIn(t, bot.apiUrl));
  await say('/alert eth below 2500', 'ETH below $2,500.00');
  await say('ALERT btc above 65000.5', 'BTC above $65,000.50');
  // Beyond what JavaScript and 64 bits can count.
  await say('/add 18446744073709551615 1', '18446744073709551616');
});

test('a command with wrong arguments is answered with its usage and the reason', { timeout }, async (t) => {
  const bot = await start(t);
  const alice = await Peer.signIn(t, bot.apiUrl);
  const conversation = await alice.client.conversations.newConversation(bot.address);
  const heard = await alice.listenTo(conversation);
  const usage = 'Usage: /alert <coin:word> <side:above|below> <usd:decimal>';
  const wrong = ['/alert', '/alert eth sideways 2500', '/alert eth below many', '/alert eth below 1 2'];
  for (const text of wrong) {
    await conversation.send(text);
    const { content } = await answerTo(heard);
    assert.ok(content.startsWith(usage) && content.length > usage.length, `${text} was answered ${content}`);
  }
});

test('an answer comes in the conversation it was asked in', { timeout }, async (t) => {
  const bot = await start(t);
  const alice = await Peer.signIn(t, bot.apiUrl);
  const thread = { conversationId: 'shop.example/orders/1', metadata: {} };
  const conversation = await alice.client.conversations.newConversation(bot.address, thread);
  const heard = await alice.listenTo(conversation);
  await conversation.send('/add 1 2');
  await heardExactly(heard, '/add 1 2', '3');
  assert.equal((await alice.client.conversations.list()).length, 1);
});

test('help lists the commands', { timeout }, async (t) => {
  const bot = await start(t);
  const alice = await Peer.signIn(t, bot.apiUrl);
  const conversation = await alice.client.conversations.newConversation(bot.address);
  const heard = await alice.listenTo(conversation);
  await conversation.send('/help');
  const { content } = await answerTo(heard);
  const alert = '/alert <coin:word> <side:above|below> <usd:decimal> - Repeats what it understood.';
  assert.deepEqual(content.split('\n'), [
    '/subscribe',
    alert,
    '/add <a:int> <b:int> - Adds two numbers.',
    '/tz ZONE - your time zone, such as Europe/Lisbon',
    '/quiet 22:00-08:00 - when I do not write to you, by your clock; /quiet off ends it',
    '/me - what I know of you',
    '/forget me - forgets all of it, and you are not written to again',
  ]);
});

test('who says a leave word hears a goodbye and nothing more', { timeout }, async (t) => {
  const bot = await start(t);
  const [alice, bob] = [await Peer.signIn(t, bot.apiUrl), await Peer.signIn(t, bot.apiUrl)];
  const { conversation, texts, say } = await talk(t, bot, alice);
  const other = await bob.write(bot.address, '/subscribe');
  await say('/subscribe', `Welcome, ${alice.address}.`);
  await bot.event('joined', { wallet: bob.address });
  await say('Stop.', 'Good bye.');
  await bot.event('left', { wallet: alice.address });

  await bot.fire('post', { title: 'for members', link: '-' });
  await holdsExactly(other, '/subscribe', `Welcome, ${bob.address}.`, 'FOR MEMBERS: -');
  await bot.fire('nudge', { wallet: alice.address });
  await bot.event('skipped', { rule: 'nudge', wallet: alice.address });
  await holdsExactly(conversation, ...texts);
  assert.deepEqual(bot.events('delivered', { rule: 'post', wallet: alice.address }), []);

  // Leaving is not for ever.
  await say('/subscribe', `Welcome, ${alice.address}.`);
  await bot.fire('nudge', { wallet: alice.address });
  await holdsExactly(conversation, ...texts, 'A word in private.');
});
