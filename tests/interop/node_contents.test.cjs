'use strict';
// Every published content type between two JavaScript clients through the node: what the plain forms of these tests mean.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { fallbackOf, samples } = require('./contents.cjs');
const { startNode } = require('./herald.cjs');
const { Peer, plainly, say } = require('./peer.cjs');

const timeout = 90_000;

test('every content type arrives as it was written, with and without compression', { timeout }, async (t) => {
  const node = await startNode(t);
  const [alice, bob] = [await Peer.signIn(t, node.apiUrl), await Peer.signIn(t, node.apiUrl)];
  const conversation = await alice.write(bob.address, 'first');
  const [{ id }] = await conversation.messages();
  const contents = samples(id);
  for (const compression of [undefined, 0, 1]) {
    for (const content of contents) await say(conversation, content, { compression });
  }
  const [, ...messages] = await (await bob.conversationWith(alice.address)).messages();
  assert.deepEqual(plainly(messages), [...contents, ...contents, ...contents]);
  assert.deepEqual(messages.slice(0, contents.length).map(({ contentFallback }) => contentFallback), contents.map(fallbackOf));
});

test('an attachment of a million bytes passes, one that no node takes is refused', { timeout }, async (t) => {
  const node = await startNode(t);
  const [alice, bob] = [await Peer.signIn(t, node.apiUrl), await Peer.signIn(t, node.apiUrl)];
  const conversation = await alice.client.conversations.newConversation(bob.address);
  const attachment = (size) => {
    const data = Buffer.alloc(size, 7).toString('base64');
    return { type: 'attachment', filename: 'big.bin', mime_type: 'application/octet-stream', data };
  };
  await say(conversation, attachment(1_000_000));
  await assert.rejects(say(conversation, attachment(1_048_300)), { code: 3 });
  assert.deepEqual(plainly(await (await bob.conversationWith(alice.address)).messages()), [attachment(1_000_000)]);
});
