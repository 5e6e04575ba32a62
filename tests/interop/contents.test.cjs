'use strict';
// Contents between herald and the JavaScript client with its published codecs.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { content: proto } = require('@xmtp/proto');
const { fallbackOf, samples, text } = require('./contents.cjs');
const { startNode } = require('./herald.cjs');
const { Peer, plainly, say } = require('./peer.cjs');
const { Person, contentsOf } = require('./person.cjs');
const { until } = require('./wait.cjs');

const timeout = 90_000;
const compressions = [['deflate', 0], ['gzip', 1]];
const ID = '5f'.repeat(32);

/** herald's person, the JavaScript one, and their conversation as each sees it. */
async function pair(t) {
  const node = await startNode(t);
  const [alice, bob] = [await Person.connect(t, node), await Peer.signIn(t, node.apiUrl)];
  const { topic } = await alice.ask('start', { peer: bob.address });
  return { alice, bob, topic, conversation: await bob.conversationWith(alice.address) };
}

const encoded = (message) => proto.EncodedContent.decode(message.contentBytes);
const long = (length) => text('gm '.repeat(length).slice(0, length));

test('every content type of herald is read in JavaScript, with the fallback its package would have set', { timeout }, async (t) => {
  const { alice, topic, conversation } = await pair(t);
  const contents = samples(ID);
  for (const content of contents) await alice.say(topic, content);
  const messages = await conversation.messages();
  assert.deepEqual(plainly(messages), contents);
  assert.deepEqual(messages.map(({ contentFallback }) => contentFallback), contents.map(fallbackOf));
});

test('every content type of JavaScript is read by herald, with its fallback', { timeout }, async (t) => {
  const { alice, topic, conversation } = await pair(t);
  const contents = samples(ID);
  for (const content of contents) await say(conversation, content);
  const messages = await alice.messages(topic);
  assert.deepEqual(contentsOf(messages), contents);
  assert.deepEqual(messages.map(({ fallback }) => fallback), contents.map(fallbackOf));
});

for (const [name, number] of compressions) {
  test(`contents that herald compressed by ${name} are read in JavaScript`, { timeout }, async (t) => {
    const { alice, topic, conversation } = await pair(t);
    const contents = [...samples(ID), long(1000)];
    for (const content of contents) await alice.say(topic, content, { compression: name });
    const messages = await conversation.messages();
    assert.deepEqual(plainly(messages), contents);
    assert.equal(encoded(messages.at(-1)).compression, number);
    assert.ok(encoded(messages.at(-1)).content.length < 100);
  });

  test(`contents that JavaScript compressed by ${name} are read by herald, long ones too`, { timeout }, async (t) => {
    const { alice, topic, conversation } = await pair(t);
    const contents = [...samples(ID), long(1000), long(500_000)];
    for (const content of contents) await say(conversation, content, { compression: number });
    assert.deepEqual(contentsOf(await alice.messages(topic)), contents);
  });

  test(`herald leaves out ${name} where it would make a content unreadable in JavaScript`, { timeout }, async (t) => {
    const { alice, topic, conversation } = await pair(t);
    await alice.say(topic, long(1001), { compression: name });
    assert.deepEqual(plainly(await conversation.messages()), [long(1001)]);
  });
}

test('an attachment of a million bytes goes both ways', { timeout }, async (t) => {
  const { alice, topic, conversation } = await pair(t);
  const data = Buffer.alloc(1_000_000, 7).toString('base64');
  const big = { type: 'attachment', filename: 'big.bin', mime_type: 'application/octet-stream', data };
  await alice.say(topic, big);
  await say(conversation, big);
  assert.deepEqual(plainly(await conversation.messages()), [big, big]);
  assert.deepEqual(contentsOf(await alice.messages(topic)), [big, big]);
});

/** A codec of somebody else's type, as an application would register it. */
class MoodCodec {
  contentType = { authorityId: 'shop.example', typeId: 'mood', versionMajor: 2, versionMinor: 1 };
  encode = (mood) => ({ type: this.contentType, parameters: { mood }, content: new Uint8Array([1, 2, 255]) });
  decode = ({ parameters }) => parameters.mood;
  fallback = (mood) => `feels ${mood}`;
  shouldPush = () => false;
}

test('a content of an unknown type keeps its bytes in herald and its fallback on both sides', { timeout }, async (t) => {
  const { alice, bob, topic, conversation } = await pair(t);
  const mood = { type: 'encoded', content_type: 'shop.example/mood:2.1', parameters: { mood: 'fine' }, data: 'AQL/' };
  await alice.say(topic, { ...mood, fallback: 'feels fine' });
  const [read] = await conversation.messages();
  assert.deepEqual([read.content, read.contentFallback], [undefined, 'feels fine']);
  assert.match(read.error.message, /unknown content type/);

  const codec = new MoodCodec();
  bob.client.registerCodec(codec);
  assert.equal((await conversation.messages())[0].content, 'fine');
  await conversation.send('blue', { contentType: codec.contentType });
  const [, blue] = await alice.messages(topic);
  assert.deepEqual([blue.content, blue.fallback], [{ ...mood, parameters: { mood: 'blue' } }, 'feels blue']);
});

/** A codec that writes an older or later shape of a known type. */
function register(bob, typeId, versionMajor, encode, fallback) {
  const contentType = { authorityId: 'xmtp.org', typeId, versionMajor, versionMinor: 0 };
  const shape = (content) => ({ type: contentType, parameters: {}, ...encode(content) });
  bob.client.registerCodec({ contentType, encode: shape, decode: (content) => content, fallback, shouldPush: () => true });
  return contentType;
}

test('herald reads a reaction in its old shape', { timeout }, async (t) => {
  const { alice, bob, topic, conversation } = await pair(t);
  const reaction = { action: 'added', reference: ID, schema: 'unicode', content: '👍' };
  const old = ({ content, ...parameters }) => {
    return { parameters: { ...parameters, encoding: 'UTF-8' }, content: new TextEncoder().encode(content) };
  };
  const contentType = register(bob, 'reaction', 1, old, () => undefined);
  await conversation.send(reaction, { contentType });
  assert.deepEqual(contentsOf(await alice.messages(topic)), [{ type: 'reaction', ...reaction }]);
});

test('herald hands out the fallback of a later major version of a type it knows', { timeout }, async (t) => {
  const { alice, bob, topic, conversation } = await pair(t);
  const encode = (text) => ({ content: new TextEncoder().encode(text) });
  const contentType = register(bob, 'text', 2, encode, (text) => `in short: ${text}`);
  await conversation.send('gm', { contentType });
  const [{ content, fallback }] = await alice.messages(topic);
  const data = Buffer.from('gm').toString('base64');
  assert.deepEqual(content, { type: 'encoded', content_type: 'xmtp.org/text:2.0', parameters: {}, data });
  assert.equal(fallback, 'in short: gm');
});

test('one content that does not decode spoils no other', { timeout }, async (t) => {
  const { alice, bob, topic, conversation } = await pair(t);
  await say(conversation, text('before'));
  const cut = () => ({ content: new TextEncoder().encode('{"networkId":') });
  const broken = register(bob, 'transactionReference', 1, cut, () => undefined);
  const heard = await alice.listen('one', { topic });
  await conversation.send('', { contentType: broken });
  await say(conversation, text('after'));
  const { messages, rejected } = await alice.ask('messages', { topic });
  assert.deepEqual(contentsOf(messages).map(({ text }) => text), ['before', 'after']);
  assert.equal(rejected.length, 1);
  await until('the message after', () => heard.some(({ content }) => content?.text === 'after'));
  assert.equal(heard.filter(({ event }) => event === 'rejected').length, 1);
});
