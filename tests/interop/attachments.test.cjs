'use strict';
// Remote attachments: what one client encrypts and puts into a storage, the other fetches, checks and opens.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { AttachmentCodec, RemoteAttachmentCodec } = require('@xmtp/content-type-remote-attachment');
const { toJs, toPlain } = require('./contents.cjs');
const { startNode } = require('./herald.cjs');
const { Peer, plainly, say } = require('./peer.cjs');
const { Person, contentsOf } = require('./person.cjs');
const { startStorage } = require('./storage.cjs');

const timeout = 90_000;
const data = Buffer.alloc(70_000, 'gm').toString('base64');
const picture = { type: 'attachment', filename: 'gm ☀️.png', mime_type: 'image/png', data };

async function pair(t, options) {
  const node = await startNode(t);
  return [await Person.connect(t, node, options), await Peer.signIn(t, node.apiUrl)];
}

/** Encrypts the picture as a JavaScript application does, and puts it into the storage. */
async function store(storage, path) {
  const sealed = await RemoteAttachmentCodec.encodeEncrypted(toJs(picture).content, new AttachmentCodec());
  storage.files.set(path, Buffer.from(sealed.payload));
  const { digest: contentDigest, salt, nonce, secret, payload } = sealed;
  const key = { contentDigest, salt, nonce, secret };
  const about = { scheme: 'https://', contentLength: payload.length, filename: picture.filename };
  return toPlain({ url: storage.url(path), ...key, ...about }, new RemoteAttachmentCodec().contentType);
}

test('what herald uploads, JavaScript loads', { timeout }, async (t) => {
  const storage = await startStorage(t);
  const [alice, bob] = await pair(t, { fetch: storage.fetch });
  const { content } = await alice.ask('upload', { content: picture, put: storage.url('/gm') });
  assert.equal(content.content_length, storage.files.get('/gm').length);
  assert.ok(!storage.files.get('/gm').includes('gmgmgmgm'), 'only ciphertext leaves');
  await alice.say(bob.address, content);
  const [message] = await (await bob.conversationWith(alice.address)).messages();
  assert.deepEqual(plainly([message]), [content]);
  const loaded = await RemoteAttachmentCodec.load(message.content, bob.client);
  assert.deepEqual(toPlain(loaded, new AttachmentCodec().contentType), picture);
});

test('what JavaScript stores, herald downloads', { timeout }, async (t) => {
  const storage = await startStorage(t);
  const [alice, bob] = await pair(t, { fetch: storage.fetch });
  const content = await store(storage, '/gm');
  await say(await bob.client.conversations.newConversation(alice.address), content);
  const { topic } = await alice.conversationWith(bob.address);
  const [received] = contentsOf(await alice.messages(topic));
  assert.deepEqual(received, content);
  assert.deepEqual((await alice.ask('download', { content: received })).content, picture);
});

test('herald refuses a file that is not the one that was announced, and an empty one', { timeout }, async (t) => {
  const storage = await startStorage(t);
  const [alice] = await pair(t, { fetch: storage.fetch });
  const content = await store(storage, '/gm');
  const file = storage.files.get('/gm');
  const other = Buffer.from(file);
  other[7] ^= 1;
  storage.files.set('/gm', other);
  await assert.rejects(alice.ask('download', { content }), new RegExp(content.content_digest));
  storage.files.set('/gm', Buffer.alloc(0));
  await assert.rejects(alice.ask('download', { content }));
  await assert.rejects(alice.ask('download', { content: { ...content, url: storage.url('/none') } }), /404/);
});

test('herald fetches from no private address that it was not allowed, and from no server it cannot trust', { timeout }, async (t) => {
  const storage = await startStorage(t);
  const [alice, bob] = await pair(t, { fetch: { roots: storage.roots } });
  const content = await store(storage, '/gm');
  await assert.rejects(alice.ask('download', { content }), /127\.0\.0\.1/);
  const distrusting = await alice.again({ fetch: { allow: storage.fetch.allow } });
  await assert.rejects(distrusting.ask('download', { content }), /certificate|issuer/i);
  // Neither keeps the message itself from being read.
  await say(await bob.client.conversations.newConversation(alice.address), content);
  const { topic } = await alice.conversationWith(bob.address);
  assert.deepEqual(contentsOf(await alice.messages(topic)), [content]);
});
