'use strict';
// One inbox, two clients: herald's own and the published JavaScript one, at one node.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { Wallet } = require('ethers');
const { heraldClient, startNode } = require('./herald.cjs');
const { Peer, heardExactly, holdsExactly, identityOf } = require('./peer.cjs');

const timeout = 90_000;
const texts = (lines) => lines.map(({ text }) => text);
const ids = (messages) => messages.map(({ id }) => id);

test('herald and the JavaScript client write to each other, live and in the history', { timeout }, async (t) => {
  const node = await startNode(t);
  const alice = heraldClient(t, Wallet.createRandom(), node);
  await alice.inbox();
  const bob = await Peer.signIn(t, node.apiUrl);
  const everything = await bob.listenToAll();

  const sent = await alice.send(bob.address, 'hello from Rust 🦀');
  await heardExactly(everything, 'hello from Rust 🦀');
  const conversation = await bob.conversationWith(alice.address);
  assert.deepEqual([sent.message, sent.wallet, sent.new], [everything[0].id, bob.address, true]);

  await bob.follows(conversation);
  const following = alice.follow();
  await following.line('the history', ({ text }) => text === 'hello from Rust 🦀');
  await conversation.send('hello from JavaScript');
  const heard = await following.line('the live message', ({ text }) => text === 'hello from JavaScript');
  assert.deepEqual([heard.from, heard.type], [bob.address, 'xmtp.org/text:1.0']);
  const more = await alice.send(bob.address, 'known by now');
  assert.equal(more.new, false);
  await heardExactly(everything, 'hello from Rust 🦀', 'hello from JavaScript', 'known by now');
  await following.line('its own message', ({ text }) => text === 'known by now');
  await following.stop();
  assert.deepEqual(texts(following.lines), texts(await alice.inbox()));
  assert.deepEqual(ids(following.lines), ids(await conversation.messages()));
});

test('who is written to from JavaScript first answers from herald in the same conversation', { timeout }, async (t) => {
  const node = await startNode(t);
  const bob = heraldClient(t, Wallet.createRandom(), node);
  await bob.inbox();
  const alice = await Peer.signIn(t, node.apiUrl);
  const conversation = await alice.write(bob.address, 'one', 'two');
  assert.deepEqual(texts(await bob.inbox()), ['one', 'two']);
  const answer = await bob.send(alice.address, 'three');
  assert.equal(answer.new, false);
  await holdsExactly(conversation, 'one', 'two', 'three');
  assert.equal((await alice.conversations()).length, 1);
});

// The identity is made by one client and found by the other; neither publishes anything a second time.
for (const [first, second] of [['JavaScript', 'herald'], ['herald', 'JavaScript']]) {
  test(`a wallet that signed in with ${first} is the same inbox in ${second}`, { timeout }, async (t) => {
    const node = await startNode(t);
    const wallet = Wallet.createRandom();
    const here = heraldClient(t, wallet, node);
    const signIn = { JavaScript: () => Peer.signIn(t, node.apiUrl, wallet), herald: () => here.inbox() };
    await signIn[first]();
    const identity = await identityOf(node.apiUrl, wallet.address);
    assert.deepEqual([identity.keys.length, identity.contacts.length], [1, 2], 'one key bundle, a V1 and a V2 contact');
    await signIn[second]();
    const there = await Peer.signIn(t, node.apiUrl, wallet);
    assert.deepEqual(await identityOf(node.apiUrl, wallet.address), identity);

    // Each of the two opens a conversation, a friend a third, and both see all of it.
    const friends = await Promise.all([0, 1, 2].map(() => Peer.signIn(t, node.apiUrl)));
    const conversation = await there.write(friends[0].address, 'from JavaScript');
    await here.send(friends[1].address, 'from herald');
    await friends[2].write(wallet.address, 'to both');
    await here.send(friends[0].address, 'continued in herald');
    await there.write(friends[1].address, 'continued in JavaScript');
    await holdsExactly(conversation, 'from JavaScript', 'continued in herald');

    const listed = await there.conversations();
    assert.equal(listed.length, 3);
    const seen = (await Promise.all(listed.map((one) => one.messages()))).flat();
    const inbox = await here.inbox();
    assert.deepEqual(ids(inbox).sort(), ids(seen).sort());
    assert.equal(inbox.length, 5);
    for (const friend of friends) assert.equal((await friend.conversations()).length, 1);
    assert.deepEqual(await identityOf(node.apiUrl, wallet.address), identity);
  });
}
