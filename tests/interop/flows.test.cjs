'use strict';
// Flows with the JavaScript client on every side: a customer, a team, and those who are called when nobody answers.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { Wallet } = require('ethers');
const { backend } = require('./backend.cjs');
const { folder, runBot } = require('./herald.cjs');
const { Peer, heardExactly, holdsExactly, textOf } = require('./peer.cjs');
const { until } = require('./wait.cjs');

const timeout = 120_000;
const HELLO = '1: fees, 2: a person.';
const SOON = 'A person will answer.';

/** A support desk whose team and lead are these wallets; `escalate` is a key of the state that forwards, or nothing. */
async function desk(t, wallets, escalate = '') {
  const place = folder(t);
  fs.writeFileSync(path.join(place, 'herald.yaml'), 'herald: 1\nfetch: { allow: [127.0.0.1/32] }\n');
  const file = path.join(place, 'desk.yaml');
  fs.writeFileSync(
    file,
    `herald: 1
bot: desk
identity: env:DESK_KEY
vars: { team: [${wallets.map(({ address }) => `"${address}"`).join(', ')}] }
flows:
  support:
    when: { message: help }
    start: hello
    states:
      hello:
        say: "${HELLO}"
        go: { 1|fees: fees, 2|person: human }
        else: { say: 1 or 2?, tries: 2, go: human }
      fees:
        say: How much did you pay?
        ask: { paid: decimal }
        go: thanks
      thanks: { say: "{{ answers.paid }} is usual.", end: true }
      human:
        say: ${SOON}
        forward: { wallets: vars.team, claim: true, transcript: 20 }
        ${escalate}
`,
  );
  const environment = { DESK_KEY: Wallet.createRandom().privateKey };
  return { place, environment, file, bot: await runBot(t, file, { environment }) };
}

/** Somebody who writes to the bot and waits for what it answers. */
async function talk(t, bot, wallet) {
  const peer = await Peer.signIn(t, bot.apiUrl, wallet);
  const conversation = await peer.client.conversations.newConversation(bot.address);
  const heard = await peer.listenTo(conversation);
  const texts = [];
  const say = async (text, ...answers) => {
    await conversation.send(text);
    texts.push(text, ...answers);
    await heardExactly(heard, ...texts);
  };
  const hear = async (text) => {
    texts.push(text);
    await heardExactly(heard, ...texts);
  };
  return { peer, conversation, heard, texts, say, hear };
}

/** Nobody was told a wallet. */
function showsNoWallet(...people) {
  for (const { heard, peer } of people) {
    const others = heard.filter(({ senderAddress }) => senderAddress !== peer.address).map(textOf);
    for (const text of others) assert.doesNotMatch(text, /0x[0-9a-f]/i);
  }
}

test('words and typed answers lead from state to state, and what fits nothing is asked again', { timeout }, async (t) => {
  const { bot } = await desk(t, [Wallet.createRandom()]);
  const { say } = await talk(t, bot);
  await say('Help', HELLO);
  await say('fees please', 'How much did you pay?');
  await say('a lot', 'How much did you pay?');
  await say('0.10', '0.10 is usual.');
});

test('the first of the team to answer owns a case, also across a restart, and neither side sees a wallet', { timeout }, async (t) => {
  const [ana, bo] = [Wallet.createRandom(), Wallet.createRandom()];
  const { bot, file, environment } = await desk(t, [ana, bo]);
  const customer = await talk(t, bot);
  const team = [await talk(t, bot, ana), await talk(t, bot, bo)];
  await customer.say('help', HELLO);
  await customer.say('2', SOON);
  for (const member of team) await member.hear(`#1: 2\n\nBefore:\nthey: help\nbot: ${HELLO}`);
  await team[1].say('This is Bo.');
  await customer.hear('This is Bo.');
  await team[0].say('This is Ana.', '#1: taken');
  await bot.stop();

  const again = await runBot(t, file, { environment, again: bot });
  assert.equal(again.address, bot.address);
  await customer.conversation.send('It was yesterday.');
  await holdsExactly(team[1].conversation, ...team[1].texts, '#1: It was yesterday.');
  await team[1].conversation.send('/done');
  await team[1].conversation.send('help');
  // Its own flow begins: the case is over.
  await holdsExactly(team[1].conversation, ...team[1].texts, '#1: It was yesterday.', '/done', 'help', HELLO);
  await holdsExactly(customer.conversation, ...customer.texts, 'It was yesterday.');
  await holdsExactly(team[0].conversation, ...team[0].texts);
  showsNoWallet(customer, ...team);
});

test('when nobody answers others are called once, and a backend is told until it takes it', { timeout }, async (t) => {
  const [ana, bo, lead] = [Wallet.createRandom(), Wallet.createRandom(), Wallet.createRandom()];
  const { told, url } = await backend(t, 500);
  const escalate = `escalate: { after: 2s, wallets: ["${lead.address}"], post: "${url}" }`;
  const { bot } = await desk(t, [ana, bo], escalate);
  const customer = await talk(t, bot);
  const team = [await talk(t, bot, ana), await talk(t, bot, bo)];
  const called = await talk(t, bot, lead);
  await customer.say('help', HELLO);
  await customer.say('2', SOON);
  await called.hear(`#1: nobody has answered yet\nthey: help\nbot: ${HELLO}\nthey: 2\nbot: ${SOON}`);
  await until('two posts', () => told.length >= 2, { seconds: 30 });
  assert.equal(told[0].body, told[1].body);
  const { at, ...body } = JSON.parse(told[0].body);
  assert.deepEqual(body, { event: 'escalated', bot: 'desk', flow: 'support', case: 1 });
  assert.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000, at);
  await called.say('I am here.');
  await customer.hear('I am here.');
  await team[0].conversation.send('So am I.');
  const before = `#1: 2\n\nBefore:\nthey: help\nbot: ${HELLO}`;
  await holdsExactly(team[0].conversation, before, 'So am I.', '#1: taken');
  await holdsExactly(team[1].conversation, before);
  assert.equal(told.length, 2);
  showsNoWallet(customer, called, ...team);
});
