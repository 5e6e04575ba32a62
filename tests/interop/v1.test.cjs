'use strict';
// The first version of the protocol between herald and JavaScript, and conversations that began in it.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { Wallet } = require('ethers');
const { samples, text } = require('./contents.cjs');
const { startNode } = require('./herald.cjs');
const { Peer, heardExactly, holdsExactly, plainly, say, stored } = require('./peer.cjs');
const { Person, contentsOf, hears, reads } = require('./person.cjs');
const { until } = require('./wait.cjs');

const timeout = 90_000;
const v1Only = { publishLegacyContact: true };
const ID = '5f'.repeat(32);

/** herald's person and a JavaScript one, who may have nothing but a V1 contact. */
async function pair(t, options) {
  const node = await startNode(t);
  return [await Person.connect(t, node), await Peer.signIn(t, node.apiUrl, undefined, options), node];
}

test('herald writes in V1 to a wallet with only a V1 contact, and hears its answer', { timeout }, async (t) => {
  const [alice, bob, node] = await pair(t, v1Only);
  const heard = await alice.listen('all');
  const conversation = await alice.write(bob.address, 'hello', 'are you there?');
  assert.equal(conversation.version, 'v1');
  const there = await bob.conversationWith(alice.address);
  assert.deepEqual([there.conversationVersion, there.topic], ['v1', conversation.topic]);
  await there.send('yes');
  await holdsExactly(there, 'hello', 'are you there?', 'yes');
  await hears(heard, 'hello', 'are you there?', 'yes');
  await reads(alice, conversation.topic, 'hello', 'are you there?', 'yes');
  const ids = (messages) => messages.map(({ id }) => id);
  assert.deepEqual(ids(await alice.messages(conversation.topic)), ids(await there.messages()));
  // Each side introduces itself once, with its first message, to both.
  for (const one of [alice, bob]) {
    assert.equal((await stored(node.apiUrl, `/xmtp/0/intro-${one.address}/proto`)).length, 2);
  }
});

test('a V1 conversation that JavaScript opens is listed once, streamed, and answered in V1', { timeout }, async (t) => {
  const [alice, bob] = await pair(t);
  const [heard, opened] = [await alice.listen('all'), await alice.listen('conversations')];
  // Two clients of one wallet: two intros, one conversation.
  const [there, elsewhere] = [bob.v1(alice.address), (await bob.again(t)).v1(alice.address)];
  await there.send('hello');
  await elsewhere.send('hello again');
  await hears(heard, 'hello', 'hello again');
  // The two streams have no order among each other.
  await until('the new conversation', () => opened.length > 0);
  const conversation = await alice.conversationWith(bob.address);
  assert.equal(conversation.version, 'v1');

  const live = await bob.listenTo(there);
  const answer = await alice.write(bob.address, 'in V1 too');
  assert.equal(answer.topic, there.topic);
  await heardExactly(live, 'in V1 too');
  await reads(alice, there.topic, 'hello', 'hello again', 'in V1 too');
  assert.deepEqual(opened.map(({ topic, version, peer }) => [topic, version, peer]), [[there.topic, 'v1', bob.address]]);
});

test('every content type goes both ways in V1, compressed too', { timeout }, async (t) => {
  const [alice, bob] = await pair(t, v1Only);
  const { topic } = await alice.ask('start', { peer: bob.address });
  const contents = samples(ID);
  for (const compression of [undefined, 'gzip']) {
    for (const content of contents) await alice.say(topic, content, { compression });
  }
  const there = await bob.conversationWith(alice.address);
  for (const compression of [undefined, 1]) {
    for (const content of contents) await say(there, content, { compression });
  }
  const all = Array.from({ length: 4 }, () => contents).flat();
  assert.deepEqual(plainly(await there.messages()), all);
  assert.deepEqual(contentsOf(await alice.messages(topic)), all);
});

test('a V1 conversation goes on in V1 when the peer learns V2; a conversation id opens a V2 one', { timeout }, async (t) => {
  const [alice, bob] = await pair(t, v1Only);
  const begun = await alice.write(bob.address, 'in V1');
  const later = await bob.again(t);
  const fresh = await alice.again();
  const same = await fresh.write(bob.address, 'still in V1');
  assert.deepEqual([same.topic, same.version], [begun.topic, 'v1']);
  const thread = await fresh.ask('start', { peer: bob.address, conversation_id: 'shop.example', metadata: {} });
  assert.equal(thread.version, 'v2');
  await fresh.say(thread.topic, text('in V2'));

  const [first, second] = await later.conversations();
  assert.deepEqual([first.topic, second.topic], [same.topic, thread.topic]);
  await holdsExactly(first, 'in V1', 'still in V1');
  await holdsExactly(second, 'in V2');
});

test('a wallet with V1 history keeps it when it comes to herald', { timeout }, async (t) => {
  const node = await startNode(t);
  const wallet = Wallet.createRandom();
  const before = await Peer.signIn(t, node.apiUrl, wallet, v1Only);
  const bob = await Peer.signIn(t, node.apiUrl);
  const conversation = await bob.write(before.address, 'one', 'two');
  await (await before.conversationWith(bob.address)).send('three');

  const alice = await Person.connect(t, node, { wallet });
  assert.equal(alice.address, before.address);
  const [here] = await alice.conversations();
  assert.deepEqual([here.version, here.topic], ['v1', conversation.topic]);
  await reads(alice, here.topic, 'one', 'two', 'three');
  await alice.say(bob.address, text('four'));
  await holdsExactly(conversation, 'one', 'two', 'three', 'four');
});

test('ephemeral V1 messages are live only, both ways', { timeout }, async (t) => {
  const [alice, bob, node] = await pair(t, v1Only);
  const { topic } = await alice.write(bob.address, 'hello');
  const there = await bob.conversationWith(alice.address);
  const [typing, heard] = [await bob.listen(() => there.streamEphemeral()), await alice.listen('ephemeral', { topic })];
  await alice.say(topic, text('…'), { ephemeral: true });
  await heardExactly(typing, '…');
  await there.send('… …', { ephemeral: true });
  await hears(heard, '…', '… …');
  await reads(alice, topic, 'hello');
  assert.deepEqual(await stored(node.apiUrl, there.ephemeralTopic), []);
});
