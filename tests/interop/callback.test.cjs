'use strict';
// A rule's `callback`: posts that the published library of Standard Webhooks verifies.

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { Webhook } = require('standardwebhooks');
const { Wallet } = require('ethers');
const { backend } = require('./backend.cjs');
const { folder, runBot } = require('./herald.cjs');
const { Peer, holdsExactly } = require('./peer.cjs');
const { until } = require('./wait.cjs');

const timeout = 90_000;

test('the library of Standard Webhooks takes what a rule calls back with, and nothing of another secret', { timeout }, async (t) => {
  const { told, url } = await backend(t);
  const place = folder(t);
  fs.writeFileSync(path.join(place, 'herald.yaml'), 'herald: 1\nfetch: { allow: [127.0.0.1/32] }\n');
  const file = path.join(place, 'orders.yaml');
  fs.writeFileSync(
    file,
    `herald: 1
bot: orders
identity: env:ORDERS_KEY
rules:
  order:
    when: { manual: true }
    to: { wallet: body.wallet }
    consent: transactional
    send: Thank you!
    callback: { url: "${url}", events: [delivered, replied], sign: env:CALLBACK_SECRET }
`,
  );
  const secret = () => `whsec_${randomBytes(24).toString('base64')}`;
  const shared = secret();
  const environment = { ORDERS_KEY: Wallet.createRandom().privateKey, CALLBACK_SECRET: shared };
  const bot = await runBot(t, file, { environment });
  const customer = await Peer.signIn(t, bot.apiUrl);
  await bot.fire('order', { wallet: customer.address });
  const conversation = await customer.conversationWith(bot.address);
  await holdsExactly(conversation, 'Thank you!');
  await until('the delivery to be told', () => told.length === 1);
  await conversation.send('You are welcome.');
  await until('the reply to be told', () => told.length === 2);

  const bodies = told.map(({ headers, body }) => new Webhook(shared).verify(body, headers));
  assert.deepEqual(bodies.map(({ event, rule, wallet }) => ({ event, rule, wallet })), [
    { event: 'delivered', rule: 'order', wallet: customer.address },
    { event: 'replied', rule: 'order', wallet: customer.address },
  ]);
  for (const { headers, body } of told) {
    assert.throws(() => new Webhook(secret()).verify(body, headers));
    assert.throws(() => new Webhook(shared).verify(body.replace('order', 'other'), headers));
  }
});
