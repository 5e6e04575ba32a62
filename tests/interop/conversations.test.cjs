'use strict';
// Conversations between herald and JavaScript: threads, invitations, ephemeral and prepared messages, push keys.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { Wallet } = require('ethers');
const { text } = require('./contents.cjs');
const { folder, startNode } = require('./herald.cjs');
const { Peer, heardExactly, holdsExactly, stored } = require('./peer.cjs');
const { Person, hears, reads, textsOf } = require('./person.cjs');
const { until } = require('./wait.cjs');

const timeout = 90_000;
const context = { conversationId: 'shop.example/orders', metadata: { title: 'Orders', empty: '' } };
const thread = { conversation_id: context.conversationId, metadata: context.metadata };
const ids = (messages) => messages.map(({ id }) => id);

async function pair(t) {
  const node = await startNode(t);
  return [await Person.connect(t, node), await Peer.signIn(t, node.apiUrl), node];
}

test('threads with an id and metadata are the same on both sides, whoever opens them', { timeout }, async (t) => {
  const [alice, bob] = await pair(t);
  const orders = await alice.ask('start', { peer: bob.address, ...thread });
  const plain = await alice.write(bob.address, 'hi');
  await alice.say(orders.topic, text('order 1'));
  const listed = await bob.conversations();
  assert.deepEqual(listed.map(({ topic }) => topic), [orders.topic, plain.topic]);
  assert.deepEqual([listed[0].context, listed[1].context?.conversationId || undefined], [context, undefined]);
  await holdsExactly(listed[0], 'order 1');

  const support = { conversationId: 'shop.example/support', metadata: {} };
  const theirs = await bob.client.conversations.newConversation(alice.address, support);
  const here = (await alice.conversations()).find(({ topic }) => topic === theirs.topic);
  assert.deepEqual([here.peer, here.conversation_id], [bob.address, support.conversationId]);
  assert.equal((await bob.client.conversations.newConversation(alice.address, context)).topic, orders.topic);
  assert.equal((await alice.ask('start', { peer: bob.address, conversation_id: support.conversationId })).topic, theirs.topic);
  assert.equal((await alice.conversations()).length, 3);
});

test('two that open the same thread at the same time meet in one topic', { timeout }, async (t) => {
  const [alice, bob] = await pair(t);
  const [ours, theirs] = await Promise.all([
    alice.ask('start', { peer: bob.address, ...thread }),
    bob.client.conversations.newConversation(alice.address, context),
  ]);
  assert.equal(ours.topic, theirs.topic);
  await alice.say(ours.topic, text('one'));
  await theirs.send('two');
  await reads(alice, (await alice.conversationWith(bob.address)).topic, 'one', 'two');
  await holdsExactly(await (await bob.again(t)).conversationWith(alice.address), 'one', 'two');
});

test('ephemeral messages are live only, both ways', { timeout }, async (t) => {
  const [alice, bob, node] = await pair(t);
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

test('the push keys that herald exports are those of JavaScript for the same wallet', { timeout }, async (t) => {
  const [alice, bob] = await pair(t);
  await alice.write(bob.address, 'hello');
  await bob.client.conversations.newConversation(alice.address, context);
  const there = await Peer.signIn(t, bob.apiUrl, alice.wallet);
  assert.equal((await there.conversations()).length, 2);
  const { hmacKeys } = await there.client.keystore.getV2ConversationHmacKeys();
  const wanted = Object.entries(hmacKeys).map(([topic, { values }]) => [
    topic,
    values.map(({ thirtyDayPeriodsSinceEpoch: period, hmacKey }) => ({ period, key: Buffer.from(hmacKey).toString('base64') })),
  ]);
  assert.equal(wanted.length, 2);
  await alice.conversations();
  assert.deepEqual((await alice.ask('hmac_keys')).topics, Object.fromEntries(wanted));
});

test('a prepared message has its id before anybody can read it, both ways', { timeout }, async (t) => {
  const [alice, bob] = await pair(t);
  const { topic } = await alice.ask('start', { peer: bob.address });
  const there = await bob.conversationWith(alice.address);
  const ours = await alice.ask('prepare', { topic, content: text('from herald') });
  const theirs = await there.prepareMessage('from JavaScript');
  assert.deepEqual([await there.messages(), await alice.messages(topic)], [[], []]);
  await alice.ask('publish', { prepared: ours.prepared });
  await theirs.send();
  const wanted = [ours.id, await theirs.messageID()].sort();
  assert.deepEqual(ids(await there.messages()).sort(), wanted);
  assert.deepEqual(ids(await alice.messages(topic)).sort(), wanted);
});

test('keys exported by one client open the same inbox in the other, without the wallet', { timeout }, async (t) => {
  const [alice, bob, node] = await pair(t);
  const { topic } = await alice.write(bob.address, 'hello');
  const { keys } = await alice.ask('export_keys');
  const there = await Peer.signIn(t, node.apiUrl, null, { privateKeyOverride: new Uint8Array(Buffer.from(keys, 'base64')) });
  assert.equal(there.address, alice.address);
  await holdsExactly(await there.conversationWith(bob.address), 'hello');

  const exported = await bob.sdk.Client.getKeys(bob.wallet, { env: 'local', apiUrl: node.apiUrl });
  const here = await Person.connect(t, node, { keys: Buffer.from(exported).toString('base64') });
  assert.equal(here.address, bob.address);
  await reads(here, topic, 'hello');
});

test('a mnemonic is the same wallet in herald and in JavaScript', { timeout }, async (t) => {
  const node = await startNode(t);
  const wallet = Wallet.createRandom();
  const alice = await Person.connect(t, node, { mnemonic: wallet.mnemonic.phrase });
  assert.equal(alice.address, wallet.address);
  const path = "m/44'/60'/0'/0/7";
  const seventh = await Person.connect(t, node, { mnemonic: wallet.mnemonic.phrase, path });
  assert.equal(seventh.address, Wallet.fromMnemonic(wallet.mnemonic.phrase, path).address);
});

test('herald reads a long history of JavaScript in both directions, in pages and in ranges of time', { timeout }, async (t) => {
  const [alice, bob] = await pair(t);
  const texts = Array.from({ length: 120 }, (_, index) => `message ${index}`);
  const there = await bob.write(alice.address, ...texts);
  const { topic } = await alice.conversationWith(bob.address);
  const all = await alice.messages(topic);
  assert.deepEqual(textsOf(all), texts);
  assert.deepEqual(ids(all), ids(await there.messages()));
  assert.deepEqual(textsOf(await alice.messages(topic, { descending: true, page: 7 })), texts.toReversed());
  assert.deepEqual(textsOf(await alice.messages(topic, { page: 50, limit: 60 })), texts.slice(0, 60));
  const [from, to] = [all[20].sent_ns, all[40].sent_ns];
  const inside = all.filter(({ sent_ns }) => BigInt(sent_ns) >= BigInt(from) && BigInt(sent_ns) <= BigInt(to));
  assert.deepEqual(ids(await alice.messages(topic, { start_ns: from, end_ns: to })), ids(inside));
});

test('a stream of everything hears conversations that open later, each message once', { timeout }, async (t) => {
  const [alice, bob, node] = await pair(t);
  const known = await bob.write(alice.address, 'before');
  const [heard, opened] = [await alice.listen('all'), await alice.listen('conversations')];
  await known.send('known');
  const carol = await Peer.signIn(t, node.apiUrl);
  const fresh = await carol.write(alice.address, 'new 1', 'new 2', 'new 3');
  await until('four messages', () => heard.length >= 4, { show: () => JSON.stringify(heard) });
  await fresh.send('new 4');
  await until('the last message', () => textsOf(heard).includes('new 4'));
  assert.deepEqual(textsOf(heard), ['known', 'new 1', 'new 2', 'new 3', 'new 4']);
  // The two streams have no order among each other.
  await until('the new conversation', () => opened.length > 0);
  assert.deepEqual(opened.map(({ topic, peer }) => [topic, peer]), [[fresh.topic, carol.address]]);
});

test('a JavaScript client streams what herald opens and writes', { timeout }, async (t) => {
  const [alice, bob] = await pair(t);
  const [all, opened] = [await bob.listenToAll(), await bob.listen(() => bob.client.conversations.stream())];
  const { topic } = await alice.ask('start', { peer: bob.address });
  await until('the new conversation', () => opened.length > 0);
  assert.deepEqual(opened.map((one) => one.topic), [topic]);
  await bob.follows(opened[0]);
  await alice.say(topic, text('hello'));
  await heardExactly(all, 'hello');
  assert.equal(all[0].senderAddress, alice.address);
});

test('garbage in topics of a herald wallet spoils nothing beside it', { timeout }, async (t) => {
  const [alice, bob] = await pair(t);
  const conversation = await bob.write(alice.address, 'before');
  const heard = await alice.listen('all');
  const garbage = ['intro', 'invite'].map((kind) => `/xmtp/0/${kind}-${alice.address}/proto`).concat(conversation.topic);
  for (const contentTopic of garbage) await bob.client.publishEnvelopes([{ contentTopic, message: new Uint8Array([10, 3, 1, 2, 3]) }]);
  await conversation.send('after');
  await until('the message after', () => heard.some(({ content }) => content?.text === 'after'));
  assert.equal((await alice.conversations()).length, 1);
  const { messages, rejected } = await alice.ask('messages', { topic: conversation.topic });
  assert.deepEqual([textsOf(messages), rejected.length], [['before', 'after'], 1]);
});

/** Lets a client in on the keys of a conversation that it is no member of. */
function betray(member, stranger, topic) {
  const known = member.client.keystore.v2Store.lookup(topic);
  return stranger.client.keystore.v2Store.add([{ ...known, topic, peerAddress: member.address }]);
}

test('a message from somebody who is no member is refused, and nothing beside it', { timeout }, async (t) => {
  const [alice, bob, node] = await pair(t);
  const carol = await Peer.signIn(t, node.apiUrl);
  const conversation = await bob.write(alice.address, 'before');
  const { topic } = await alice.conversationWith(bob.address);
  const heard = await alice.listen('one', { topic });
  await betray(bob, carol, topic);
  const { ConversationV2 } = carol.sdk;
  await new ConversationV2(carol.client, topic, alice.address, new Date()).send('it is me, bob');
  await conversation.send('after');
  await until('the message after', () => heard.some(({ content }) => content?.text === 'after'));
  assert.deepEqual(heard.map(({ event, content }) => event ?? content.text), ['rejected', 'after']);
  const { messages, rejected } = await alice.ask('messages', { topic });
  assert.deepEqual(textsOf(messages), ['before', 'after']);
  assert.equal(rejected.length, 1);
  assert.match(rejected[0], new RegExp(carol.address));
});

test('streams of herald outlive a restart of the node and miss nothing', { timeout }, async (t) => {
  const [alice, bob, node] = await pair(t);
  const conversation = await bob.write(alice.address, 'before');
  const heard = await alice.listen('all');
  await conversation.send('live');
  await hears(heard, 'live');
  await node.stop();
  await startNode(t, { again: node });
  await conversation.send('at once');
  const carol = await Peer.signIn(t, node.apiUrl);
  await carol.write(alice.address, 'hello');
  // Two conversations have no order among each other.
  await until('three messages', () => heard.length >= 3, { show: () => JSON.stringify(heard) });
  assert.deepEqual(textsOf(heard).sort(), ['at once', 'hello', 'live']);
});

test('who is not on the network is told apart, and so is oneself', { timeout }, async (t) => {
  const [alice, bob] = await pair(t);
  const absent = Wallet.createRandom().address;
  const { reachable } = await alice.ask('can_message', { addresses: [bob.address, absent, alice.address] });
  assert.deepEqual(reachable, [true, false, true]);
  assert.equal(await bob.client.canMessage(alice.address), true);
  await assert.rejects(alice.ask('start', { peer: absent }), new RegExp(absent));
  await assert.rejects(alice.ask('start', { peer: alice.address }), /self|itself|oneself|own/);
  await assert.rejects(alice.ask('start', { peer: bob.address.replace('0x', '0y') }));
});

test('a cache gives back after a restart what was known, and what came meanwhile', { timeout }, async (t) => {
  const [first, bob] = await pair(t);
  const cache = folder(t);
  const alice = await first.again({ cache });
  const conversation = await bob.write(alice.address, 'before');
  await reads(alice, (await alice.conversationWith(bob.address)).topic, 'before');
  await alice.stop();
  await conversation.send('meanwhile');
  const other = await bob.client.conversations.newConversation(alice.address, context);
  const restarted = await alice.again({ cache });
  assert.deepEqual((await restarted.conversations()).map(({ topic }) => topic), [conversation.topic, other.topic]);
  await reads(restarted, conversation.topic, 'before', 'meanwhile');
});
