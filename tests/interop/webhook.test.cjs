'use strict';
// bots/orders.yaml: a signed request of a shop becomes a message in its customer's JavaScript inbox.

const assert = require('node:assert/strict');
const { createHmac, randomBytes, randomUUID } = require('node:crypto');
const path = require('node:path');
const { test } = require('node:test');
const { Wallet } = require('ethers');
const { root, runBot } = require('./herald.cjs');
const { Peer, holdsExactly } = require('./peer.cjs');

const timeout = 90_000;

/** The bot, a customer with a JavaScript client, and the shop's way to call the webhook. */
async function shop(t) {
  const secret = randomBytes(24);
  const environment = { ORDERS_KEY: Wallet.createRandom().privateKey, ORDERS_WEBHOOK_SECRET: `whsec_${secret.toString('base64')}` };
  const bot = await runBot(t, path.join(root, 'bots/orders.yaml'), { environment });
  const customer = await Peer.signIn(t, bot.apiUrl);
  const url = bot.webhooks['orders/order'];
  assert.ok(url, `a URL for orders/order in ${JSON.stringify(bot.webhooks)}`);
  const post = (body, options = {}) => call(url, secret, body, options);
  return { bot, customer, post, order: { id: 'A1', wallet: customer.address, status: 'paid', total: 42 } };
}

/** A request as the Standard Webhooks specification signs it. */
async function call(url, secret, body, { id = `msg_${randomUUID()}`, age = 0, signature } = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const timestamp = Math.floor(Date.now() / 1000) - age;
  const mac = createHmac('sha256', secret).update(`${id}.${timestamp}.${text}`).digest('base64');
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': `${timestamp}`,
    'webhook-signature': signature ?? `v1,${mac}`,
  };
  const response = await fetch(url, { method: 'POST', headers, body: text });
  const answer = await response.text();
  return { status: response.status, answer, json: () => JSON.parse(answer) };
}

test('a signed webhook becomes a message, its redelivery the same occurrence and no second one', { timeout }, async (t) => {
  const { bot, customer, post, order } = await shop(t);
  const id = 'msg_first';
  const first = await post(order, { id });
  assert.equal(Math.floor(first.status / 100), 2, first.answer);
  const conversation = await customer.conversationWith(bot.address);
  await holdsExactly(conversation, 'Thank you! Order A1 is paid ($42.00).');

  const again = await post(order, { id });
  assert.equal(again.status, first.status);
  assert.ok(first.json().occurrence, first.answer);
  assert.equal(again.json().occurrence, first.json().occurrence);
  // The shop's own repetition under another delivery id: the rule's key makes it one message still.
  await post(order);

  await post({ ...order, status: 'shipped' });
  await holdsExactly(conversation, 'Thank you! Order A1 is paid ($42.00).', 'Order A1 is on its way.');
});

test('webhooks that are forged, stale, too large or mistyped are refused and leave nothing', { timeout }, async (t) => {
  const { bot, customer, post, order } = await shop(t);
  const refused = async (status, body, options) => {
    const got = await post(body, options);
    assert.equal(got.status, status, got.answer);
    return got.answer;
  };
  const padded = (bytes) => {
    const bare = JSON.stringify({ ...order, padding: '' }).length;
    return JSON.stringify({ ...order, padding: 'x'.repeat(bytes - bare) });
  };
  await refused(401, order, { signature: `v1,${randomBytes(32).toString('base64')}` });
  await refused(401, order, { signature: 'v1,' });
  await refused(401, order, { age: 6 * 60 });
  await refused(401, order, { age: -6 * 60 });
  await refused(413, padded(262_145));
  // Too large comes before badly signed.
  await refused(413, padded(262_145), { signature: 'v1,AAAA' });
  assert.match(await refused(400, { ...order, total: 'much' }), /total/);
  assert.match(await refused(400, { ...order, status: 'lost' }), /status/);
  assert.match(await refused(400, { ...order, wallet: '0x12' }), /wallet/);
  assert.match(await refused(400, { ...order, id: undefined }), /id/);
  await refused(400, '{"id":');

  // The largest body that passes also proves that none of the others left a message.
  const passed = await post(padded(262_144));
  assert.equal(Math.floor(passed.status / 100), 2, passed.answer);
  await holdsExactly(await customer.conversationWith(bot.address), 'Thank you! Order A1 is paid ($42.00).');
  assert.equal(bot.events('occurrence').length, 1);
});
