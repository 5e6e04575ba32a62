'use strict';
// A herald wallet takes a new pre-key: everything before stays readable, everybody finds the new one.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { text } = require('./contents.cjs');
const { startNode } = require('./herald.cjs');
const { Peer, holdsExactly, identityOf } = require('./peer.cjs');
const { Person, reads } = require('./person.cjs');

const timeout = 90_000;

/** herald's person with a new pre-key, and a JavaScript one that saw the old contact and talked before. */
async function rotated(t) {
  const node = await startNode(t);
  const [alice, bob] = [await Person.connect(t, node), await Peer.signIn(t, node.apiUrl)];
  const conversation = await bob.write(alice.address, 'before');
  assert.equal((await alice.conversationWith(bob.address)).topic, conversation.topic);
  const before = await identityOf(node.apiUrl, alice.address);
  await alice.ask('rotate');
  const after = await identityOf(node.apiUrl, alice.address);
  assert.ok(after.contacts.length > before.contacts.length, 'a new contact');
  assert.ok(after.keys.length > before.keys.length, 'a new key bundle');
  return { node, alice, bob, conversation };
}

test('conversations go on under the new pre-key, and old messages stay readable', { timeout }, async (t) => {
  const { alice, bob, conversation } = await rotated(t);
  const same = await alice.ask('start', { peer: bob.address });
  assert.equal(same.topic, conversation.topic);
  await alice.say(same.topic, text('after'));
  await conversation.send('answer');
  await holdsExactly(conversation, 'before', 'after', 'answer');
  await reads(alice, same.topic, 'before', 'after', 'answer');
  await reads(await alice.again(), same.topic, 'before', 'after', 'answer');
});

test('who still has the old contact reaches the wallet by invitation and in V1', { timeout }, async (t) => {
  const { alice, bob } = await rotated(t);
  const thread = await bob.client.conversations.newConversation(alice.address, { conversationId: 'late', metadata: {} });
  await thread.send('by the old pre-key');
  const direct = bob.v1(alice.address);
  await direct.send('by the old pre-key, in V1');
  for (const one of [alice, await alice.again()]) {
    const topics = (await one.conversations()).map(({ topic }) => topic);
    assert.ok(topics.includes(thread.topic) && topics.includes(direct.topic), `${topics}`);
    await reads(one, thread.topic, 'by the old pre-key');
    await reads(one, direct.topic, 'by the old pre-key, in V1');
  }
});

test('who looks up the new contact writes to the new pre-key, and herald writes with it', { timeout }, async (t) => {
  const { node, alice } = await rotated(t);
  const carol = await Peer.signIn(t, node.apiUrl);
  const theirs = await carol.write(alice.address, 'hello');
  const { topic } = await alice.conversationWith(carol.address);
  assert.equal(topic, theirs.topic);
  await reads(alice, topic, 'hello');
  const dave = await Peer.signIn(t, node.apiUrl, undefined, { publishLegacyContact: true });
  await alice.write(dave.address, 'in V1');
  const there = await dave.conversationWith(alice.address);
  await there.send('answer in V1');
  await reads(alice, there.topic, 'in V1', 'answer in V1');
});

test('the rotated wallet is the same inbox in JavaScript, which publishes nothing about it', { timeout }, async (t) => {
  const { node, alice, bob, conversation } = await rotated(t);
  await alice.say(conversation.topic, text('after'));
  const before = await identityOf(node.apiUrl, alice.address);
  const there = await Peer.signIn(t, node.apiUrl, alice.wallet);
  assert.deepEqual(await identityOf(node.apiUrl, alice.address), before);
  const mine = await there.conversationWith(bob.address);
  assert.equal(mine.topic, conversation.topic);
  await mine.send('from JavaScript');
  await holdsExactly(conversation, 'before', 'after', 'from JavaScript');
  await reads(alice, conversation.topic, 'before', 'after', 'from JavaScript');
});

test('a wallet rotates more than once and keeps every pre-key', { timeout }, async (t) => {
  const { alice, bob } = await rotated(t);
  await alice.ask('rotate');
  const direct = bob.v1(alice.address);
  await direct.send('by the first pre-key');
  await reads(await alice.again(), direct.topic, 'by the first pre-key');
});
