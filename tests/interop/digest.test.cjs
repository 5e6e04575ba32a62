'use strict';
// A digest, read with the JavaScript client: one message a period for each reader.

const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { Wallet } = require('ethers');
const { folder, runBot } = require('./herald.cjs');
const { Peer, heardExactly, holdsExactly } = require('./peer.cjs');

const timeout = 90_000;

test('what happens in a period is one message for each reader, and the next period another', { timeout }, async (t) => {
  const file = path.join(folder(t), 'post.yaml');
  fs.writeFileSync(
    file,
    `herald: 1
bot: post
identity: env:POST_KEY
rules:
  news:
    when: { manual: true }
    to: { wallet: body.wallet }
    consent: transactional
    digest: { every: 5s, max: 2, order: item.body.rank }
    send: "{{ items | length }} and {{ items_left }} more:{% for one in items %} {{ one.body.text }}{% endfor %}"
`,
  );
  const bot = await runBot(t, file, { environment: { POST_KEY: Wallet.createRandom().privateKey } });
  const [alice, bob] = [await Peer.signIn(t, bot.apiUrl), await Peer.signIn(t, bot.apiUrl)];
  const tell = ({ address }, text, rank) => bot.fire('news', { wallet: address, text, rank });
  await tell(alice, 'third', 3);
  await tell(alice, 'second', 2);
  await tell(alice, 'first', 1);
  await tell(bob, 'own', 9);
  const conversation = await alice.conversationWith(bot.address);
  const first = '2 and 1 more: first second';
  await holdsExactly(conversation, first);
  await holdsExactly(await bob.conversationWith(bot.address), '1 and 0 more: own');
  const heard = await alice.listenTo(conversation);
  await tell(alice, 'later', 1);
  await heardExactly(heard, '1 and 0 more: later');
  await holdsExactly(conversation, first, '1 and 0 more: later');
});
