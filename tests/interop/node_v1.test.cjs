'use strict';
// The first version of the protocol between JavaScript clients: intros, direct message topics, and the way to the second.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { startNode } = require('./herald.cjs');
const { Peer, heardExactly, holdsExactly, stored } = require('./peer.cjs');

const timeout = 90_000;
const v1Only = { publishLegacyContact: true };
const intro = ({ address }) => `/xmtp/0/intro-${address}/proto`;

test('a wallet with only a V1 contact is written to in V1 and answers there', { timeout }, async (t) => {
  const node = await startNode(t);
  const alice = await Peer.signIn(t, node.apiUrl);
  const bob = await Peer.signIn(t, node.apiUrl, undefined, v1Only);
  const all = await bob.listen(() => bob.client.conversations.streamAllMessages(), intro(bob));
  const conversation = await alice.write(bob.address, 'hello');
  assert.equal(conversation.conversationVersion, 'v1');
  assert.equal(conversation.topic, `/xmtp/0/dm-${[alice.address, bob.address].sort().join('-')}/proto`);
  await bob.subscribed(conversation.topic);
  await conversation.send('are you there?');
  await heardExactly(all, 'hello', 'are you there?');

  const answer = await bob.conversationWith(alice.address);
  assert.equal(answer.conversationVersion, 'v1');
  await answer.send('yes');
  await holdsExactly(conversation, 'hello', 'are you there?', 'yes');
  // Each side introduces itself once, with its first message, to both.
  assert.equal((await stored(node.apiUrl, intro(alice))).length, 2);
  assert.deepEqual(await stored(node.apiUrl, intro(alice)), await stored(node.apiUrl, intro(bob)));
});

test('a V1 conversation goes on in V1 when the wallet learns V2; a conversation id opens a V2 one', { timeout }, async (t) => {
  const node = await startNode(t);
  const alice = await Peer.signIn(t, node.apiUrl);
  const bob = await Peer.signIn(t, node.apiUrl, undefined, v1Only);
  await alice.write(bob.address, 'in V1');

  await bob.again(t);
  const later = await alice.again(t);
  const same = await later.write(bob.address, 'still in V1');
  assert.equal(same.conversationVersion, 'v1');
  const thread = await later.client.conversations.newConversation(bob.address, { conversationId: 'shop.example', metadata: {} });
  assert.equal(thread.conversationVersion, 'v2');
  await thread.send('in V2');

  const [first, second] = await (await bob.again(t)).conversations();
  assert.deepEqual([first.topic, second.topic], [same.topic, thread.topic]);
  await holdsExactly(first, 'in V1', 'still in V1');
  await holdsExactly(second, 'in V2');
});

test('ephemeral V1 messages are live only', { timeout }, async (t) => {
  const node = await startNode(t);
  const alice = await Peer.signIn(t, node.apiUrl);
  const bob = await Peer.signIn(t, node.apiUrl);
  const [here, there] = [alice.v1(bob.address), bob.v1(alice.address)];
  await here.send('hello');
  const typing = await bob.listen(() => there.streamEphemeral());
  await here.send('… is typing', { ephemeral: true });
  await heardExactly(typing, '… is typing');
  await holdsExactly(there, 'hello');
  assert.deepEqual(await stored(node.apiUrl, here.ephemeralTopic), []);
});
