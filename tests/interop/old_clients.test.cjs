'use strict';
// Clients of the years with herald: releases 7.14.1 (random conversation topics), 9.4.1 and 11.6.3.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { text } = require('./contents.cjs');
const { startNode } = require('./herald.cjs');
const { Peer, heardExactly, holdsExactly, identityOf } = require('./peer.cjs');
const { Person, contentsOf, hears, reads } = require('./person.cjs');

const timeout = 90_000;

for (const release of [7, 9, 11]) {
  test(`conversations of release ${release} are listed, read, streamed and answered by herald`, { timeout }, async (t) => {
    const node = await startNode(t);
    const alice = await Person.connect(t, node);
    const old = await Peer.signIn(t, node.apiUrl, undefined, { release });
    const heard = await alice.listen('all');
    const context = { conversationId: 'shop.example/orders', metadata: { title: 'Orders' } };
    const there = await old.client.conversations.newConversation(alice.address, context);
    for (const [words, compression] of [['one', undefined], ['two, deflated', 0], ['three, zipped', 1]]) {
      await there.send(words, { compression });
    }
    await hears(heard, 'one', 'two, deflated', 'three, zipped');
    const { topic, conversation_id, metadata } = await alice.conversationWith(old.address);
    assert.deepEqual({ topic, conversation_id, metadata }, { topic: there.topic, conversation_id: context.conversationId, metadata: context.metadata });
    await reads(alice, topic, 'one', 'two, deflated', 'three, zipped');

    const live = await old.listenTo(there);
    await alice.say(topic, text('four 👋'));
    await heardExactly(live, 'four 👋');
    // The same id again is the same conversation, however its topic came about.
    const again = await alice.ask('start', { peer: old.address, conversation_id: context.conversationId });
    assert.equal(again.topic, topic);
    await holdsExactly(there, 'one', 'two, deflated', 'three, zipped', 'four 👋');
  });

  test(`an inbox of release ${release} opens in herald with the keys it has, and goes back`, { timeout }, async (t) => {
    const node = await startNode(t);
    const old = await Peer.signIn(t, node.apiUrl, undefined, { release });
    const friend = await Peer.signIn(t, node.apiUrl);
    const there = await old.write(friend.address, 'one', 'two');
    await (await friend.conversationWith(old.address)).send('three');

    const before = await identityOf(node.apiUrl, old.address);
    const here = await Person.connect(t, node, { wallet: old.wallet });
    assert.deepEqual(await identityOf(node.apiUrl, old.address), before);
    const { topic } = await here.conversationWith(friend.address);
    await reads(here, topic, 'one', 'two', 'three');
    await here.say(topic, text('four'));
    await holdsExactly(there, 'one', 'two', 'three', 'four');
  });

  test(`an inbox that herald made opens in release ${release}`, { timeout }, async (t) => {
    const node = await startNode(t);
    const here = await Person.connect(t, node);
    const friend = await Peer.signIn(t, node.apiUrl);
    await here.write(friend.address, 'one', 'two');
    const before = await identityOf(node.apiUrl, here.address);
    const old = await Peer.signIn(t, node.apiUrl, here.wallet, { release });
    assert.deepEqual(await identityOf(node.apiUrl, here.address), before);
    const there = await old.conversationWith(friend.address);
    await holdsExactly(there, 'one', 'two');
    await there.send('three');
    const { topic } = await here.conversationWith(friend.address);
    await reads(here, topic, 'one', 'two', 'three');
  });

  test(`release ${release} with only a V1 contact and herald talk in V1`, { timeout }, async (t) => {
    const node = await startNode(t);
    const alice = await Person.connect(t, node);
    const old = await Peer.signIn(t, node.apiUrl, undefined, { release, publishLegacyContact: true });
    const here = await alice.write(old.address, 'one');
    assert.equal(here.version, 'v1');
    const there = await old.conversationWith(alice.address);
    await there.send('two');
    await reads(alice, here.topic, 'one', 'two');
    await holdsExactly(there, 'one', 'two');
  });
}

for (const release of [7, 9, 11]) {
  test(`a composite of release ${release} is read by herald`, { timeout }, async (t) => {
    const node = await startNode(t);
    const alice = await Person.connect(t, node);
    const old = await Peer.signIn(t, node.apiUrl, undefined, { release });
    const { CompositeCodec, ContentTypeComposite, ContentTypeText } = old.sdk;
    old.client.registerCodec(new CompositeCodec());
    const part = (content) => ({ type: ContentTypeText, content });
    const there = await old.client.conversations.newConversation(alice.address);
    await there.send({ parts: [part('one'), { parts: [part('two'), part('three')] }] }, { contentType: ContentTypeComposite });
    const { topic } = await alice.conversationWith(old.address);
    const inner = { type: 'composite', parts: [text('two'), text('three')] };
    assert.deepEqual(contentsOf(await alice.messages(topic)), [{ type: 'composite', parts: [text('one'), inner] }]);
  });
}
