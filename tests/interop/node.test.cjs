'use strict';
// herald's node under two published clients: no herald client takes part here.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { Client } = require('@xmtp/xmtp-js');
const { Wallet } = require('ethers');
const { startNode } = require('./herald.cjs');
const { Peer, heardExactly, holdsExactly, identityOf, stored, textOf } = require('./peer.cjs');
const { until } = require('./wait.cjs');

const timeout = 90_000;

async function two(t, node) {
  return [await Peer.signIn(t, node.apiUrl), await Peer.signIn(t, node.apiUrl)];
}

test('two wallets find each other, write, list and stream', { timeout }, async (t) => {
  const node = await startNode(t);
  const [alice, bob] = await two(t, node);
  const options = { apiUrl: node.apiUrl };
  assert.equal(await Client.canMessage(bob.address, options), true);
  const absent = Wallet.createRandom().address;
  assert.deepEqual(await Client.canMessage([alice.address, absent, bob.address], options), [true, false, true]);

  const all = await bob.listenToAll();
  const conversation = await alice.client.conversations.newConversation(bob.address);
  await bob.follows(conversation);
  await conversation.send('hello');
  await heardExactly(all, 'hello');
  assert.equal(all[0].senderAddress, alice.address);

  const answer = await bob.conversationWith(alice.address);
  assert.equal(answer.topic, conversation.topic);
  const live = await alice.listenTo(conversation);
  await answer.send('and to you 👋');
  await heardExactly(live, 'and to you 👋');
  await heardExactly(all, 'hello', 'and to you 👋');
  await holdsExactly(conversation, 'hello', 'and to you 👋');
  assert.deepEqual((await conversation.messages()).map(({ id }) => id), (await answer.messages()).map(({ id }) => id));
});

test('conversation ids keep threads of one pair apart', { timeout }, async (t) => {
  const node = await startNode(t);
  const [alice, bob] = await two(t, node);
  const open = (conversationId) =>
    alice.client.conversations.newConversation(bob.address, { conversationId, metadata: { title: conversationId } });
  const [orders, plain] = [await open('shop.example/orders'), await alice.client.conversations.newConversation(bob.address)];
  await orders.send('order 1');
  await plain.send('hi');
  assert.notEqual(orders.topic, plain.topic);
  assert.equal((await open('shop.example/orders')).topic, orders.topic);

  // Older applications call this one by name.
  const listed = await bob.client.conversations.listV2Conversations();
  const ids = listed.map(({ context }) => context?.conversationId ?? '').sort();
  assert.deepEqual(ids, ['', 'shop.example/orders']);
  const thread = listed.find(({ context }) => context?.conversationId);
  assert.deepEqual(thread.context.metadata, { title: 'shop.example/orders' });
  await holdsExactly(thread, 'order 1');
});

test('new conversations are streamed; ephemeral messages are live only', { timeout }, async (t) => {
  const node = await startNode(t);
  const [alice, bob] = await two(t, node);
  const opened = await bob.listen(() => bob.client.conversations.stream());
  const conversation = await alice.client.conversations.newConversation(bob.address);
  await until('the new conversation', () => opened.length > 0);
  assert.deepEqual(opened.map(({ topic }) => topic), [conversation.topic]);

  const typing = await bob.listen(() => opened[0].streamEphemeral());
  await conversation.send('… is typing', { ephemeral: true });
  await heardExactly(typing, '… is typing');
  await conversation.send('typed');
  await holdsExactly(opened[0], 'typed');
});

test('pages and batches give every message once, in both directions', { timeout }, async (t) => {
  const node = await startNode(t);
  const [alice, bob] = await two(t, node);
  const texts = Array.from({ length: 120 }, (_, index) => `message ${index}`);
  const conversation = await alice.write(bob.address, ...texts);
  const mirror = await bob.conversationWith(alice.address);
  await holdsExactly(mirror, ...texts);

  const backwards = [];
  for await (const page of mirror.messagesPaginated({ direction: 2, pageSize: 7 })) backwards.push(...page.map(textOf));
  assert.deepEqual(backwards, texts.toReversed());

  // More than the 50 that one request may hold: the client splits, the order must stay.
  const queries = Array.from({ length: 60 }, (_, index) => ({
    contentTopic: index % 2 ? conversation.topic : `/xmtp/0/contact-${alice.address}/proto`,
    pageSize: 3,
  }));
  const answers = await bob.client.apiClient.batchQuery(queries);
  assert.deepEqual(answers.map(({ length }) => length), queries.map((_, index) => (index % 2 ? 3 : 2)));
});

test('nobody publishes to a topic of another wallet', { timeout }, async (t) => {
  const node = await startNode(t);
  const [alice, bob] = await two(t, node);
  const before = await identityOf(node.apiUrl, bob.address);
  const contentTopic = `/xmtp/0/contact-${bob.address}/proto`;
  await assert.rejects(alice.client.apiClient.publish([{ contentTopic, message: new Uint8Array([1]) }]), { code: 7 });
  assert.deepEqual(await identityOf(node.apiUrl, bob.address), before);
});

test('an invitation published again at another time is refused', { timeout }, async (t) => {
  const node = await startNode(t);
  const [alice, bob] = await two(t, node);
  await bob.write(alice.address, 'hello');
  const contentTopic = `/xmtp/0/invite-${alice.address}/proto`;
  const before = await stored(node.apiUrl, contentTopic);
  const message = new Uint8Array(Buffer.from(before[0], 'base64'));
  const timestamp = new Date(Date.now() - 60_000);
  await assert.rejects(bob.client.publishEnvelopes([{ contentTopic, message, timestamp }]), { code: 3 });
  assert.deepEqual(await stored(node.apiUrl, contentTopic), before);
});

test('a stream that was silent for over 30 s still delivers', { timeout }, async (t) => {
  const node = await startNode(t);
  const [alice, bob] = await two(t, node);
  const conversation = await alice.write(bob.address, 'first');
  const live = await bob.listenTo(await bob.conversationWith(alice.address));
  const since = Date.now();
  const heartbeats = await silence(node.apiUrl, conversation.topic, 33_000);
  assert.ok(Date.now() - since >= 33_000);
  assert.match(heartbeats, /^ {2,}$/, 'only spaces, at least one each 15 s');
  await conversation.send('after the silence');
  await heardExactly(live, 'after the silence');
  assert.equal(bob.subscriptions().length, 1, 'the stream was never reopened');
});

test('a node that restarts keeps its messages, and streams of clients find it again', { timeout }, async (t) => {
  const first = await startNode(t);
  const [alice, bob] = await two(t, first);
  const conversation = await alice.write(bob.address, 'before');
  const mirror = await bob.conversationWith(alice.address);
  const live = await bob.listenTo(mirror);
  await conversation.send('live');
  await heardExactly(live, 'live');
  const opened = bob.subscriptions().length;

  await first.stop();
  await startNode(t, { again: first });
  await bob.subscribed(mirror.topic, opened);
  await conversation.send('after');
  await heardExactly(live, 'live', 'after');
  await holdsExactly(mirror, 'before', 'live', 'after');
});

/** Reads a stream of the topic as raw text for some time. */
async function silence(apiUrl, topic, ms) {
  const body = JSON.stringify({ contentTopics: [topic] });
  const response = await fetch(`${apiUrl}/message/v1/subscribe`, { method: 'POST', body, signal: AbortSignal.timeout(ms) });
  let text = '';
  try {
    for await (const piece of response.body) text += Buffer.from(piece).toString('utf8');
  } catch (error) {
    if (error.name !== 'TimeoutError') throw error;
  }
  return text;
}
