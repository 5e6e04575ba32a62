'use strict';
// Clients of the years at one node: releases 7.14.1 (random conversation topics), 9.4.1 and 11.6.3 with today's 13.0.4.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { startNode } = require('./herald.cjs');
const { Peer, heardExactly, holdsExactly, identityOf } = require('./peer.cjs');

const timeout = 90_000;

for (const release of [7, 9, 11]) {
  test(`release ${release} and today's client write to each other, live and in the history`, { timeout }, async (t) => {
    const node = await startNode(t);
    const old = await Peer.signIn(t, node.apiUrl, undefined, { release });
    const today = await Peer.signIn(t, node.apiUrl);
    const context = { conversationId: 'shop.example/orders', metadata: { title: 'Orders' } };
    const theirs = await old.client.conversations.newConversation(today.address, context);
    await theirs.send('from long ago');

    const ours = await today.conversationWith(old.address);
    assert.deepEqual([ours.topic, ours.context], [theirs.topic, context]);
    const live = await old.listenTo(theirs);
    await ours.send('from today 👋');
    await heardExactly(live, 'from today 👋');
    await holdsExactly(theirs, 'from long ago', 'from today 👋');
    await holdsExactly(ours, 'from long ago', 'from today 👋');

    const plain = await today.write(old.address, 'a new conversation');
    const listed = (await old.conversations()).find(({ topic }) => topic === plain.topic);
    await holdsExactly(listed, 'a new conversation');
  });

  test(`an inbox of release ${release} opens in today's client with the keys it has`, { timeout }, async (t) => {
    const node = await startNode(t);
    const old = await Peer.signIn(t, node.apiUrl, undefined, { release });
    const friend = await Peer.signIn(t, node.apiUrl);
    await old.write(friend.address, 'one', 'two');
    await (await friend.conversationWith(old.address)).send('three');

    const before = await identityOf(node.apiUrl, old.address);
    const today = await old.again(t);
    assert.deepEqual(await identityOf(node.apiUrl, old.address), before);
    await holdsExactly(await today.conversationWith(friend.address), 'one', 'two', 'three');
  });
}
