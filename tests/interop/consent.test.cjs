'use strict';
// Consent: what herald decides JavaScript sees, and the other way round; consent that was proven beforehand.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { createConsentMessage, createConsentProofPayload } = require('@xmtp/consent-proof-signature');
const { invitation } = require('@xmtp/proto');
const { Wallet } = require('ethers');
const { text } = require('./contents.cjs');
const { startNode } = require('./herald.cjs');
const { Peer } = require('./peer.cjs');
const { Person } = require('./person.cjs');
const { until } = require('./wait.cjs');

const timeout = 90_000;
const DAY_MS = 86_400_000;
const byValue = (one, two) => (one.value < two.value ? -1 : 1);
const anAddress = () => Wallet.createRandom().address;

/** One wallet in both clients. */
async function twin(t, options) {
  const node = await startNode(t);
  const here = await Person.connect(t, node);
  return [here, await Peer.signIn(t, node.apiUrl, here.wallet, options), node];
}

/** What a wallet in JavaScript has decided, by a client that remembers nothing. */
const decidedInJs = async (t, peer, addresses) => {
  const fresh = await peer.again(t);
  await fresh.client.contacts.loadConsentList();
  return addresses.map((one) => fresh.client.contacts.consentState(one));
};

test('what herald allows and denies, JavaScript sees, live and later', { timeout }, async (t) => {
  const [here, there] = await twin(t);
  const live = await there.listenToConsent();
  const [friend, spammer, fickle] = [anAddress(), anAddress(), anAddress()];
  await here.ask('allow', { addresses: [friend, fickle] });
  await here.ask('deny', { addresses: [spammer] });
  await here.ask('deny', { addresses: [fickle] });
  await until('three actions', () => live.length >= 3);
  assert.deepEqual(live.map(({ allowAddress }) => allowAddress?.walletAddresses), [[friend, fickle], undefined, undefined]);
  assert.deepEqual(live.map(({ denyAddress }) => denyAddress?.walletAddresses), [undefined, [spammer], [fickle]]);
  const states = await decidedInJs(t, there, [friend, spammer, fickle, anAddress()]);
  assert.deepEqual(states, ['allowed', 'denied', 'denied', 'unknown']);
});

for (const release of [11, 13]) {
  test(`what release ${release} allows and denies, herald sees, live and later`, { timeout }, async (t) => {
    const [here, there] = await twin(t, { release });
    const live = await here.listen('consent');
    const [friend, spammer] = [anAddress(), anAddress()];
    await there.client.contacts.allow([friend]);
    await there.client.contacts.deny([spammer]);
    const wanted = [
      { kind: 'address', value: friend, state: 'allowed' },
      { kind: 'address', value: spammer, state: 'denied' },
    ];
    await until('two decisions', () => live.length >= 2);
    assert.deepEqual(live, wanted);
    const fresh = await here.again();
    assert.deepEqual((await fresh.ask('consent_list')).entries.sort(byValue), wanted.sort(byValue));
    const { states } = await fresh.ask('consent', { addresses: [friend, spammer, anAddress()] });
    assert.deepEqual(states, ['allowed', 'denied', 'unknown']);
  });
}

test('decisions on groups and inboxes are read in both directions', { timeout }, async (t) => {
  const [here, there] = await twin(t);
  const [spam, friends, inbox] = ['cd'.repeat(16), 'ab'.repeat(16), 'ef'.repeat(32)];
  await here.ask('deny', { groups: [spam] });
  await here.ask('allow', { inboxes: [inbox] });
  const { contacts } = there.client;
  await contacts.allowGroups([friends]);
  await contacts.refreshConsentList();
  assert.deepEqual([contacts.groupConsentState(spam), contacts.inboxConsentState(inbox)], ['denied', 'allowed']);
  assert.deepEqual((await here.ask('consent_list')).entries.sort(byValue), [
    { kind: 'group', value: friends, state: 'allowed' },
    { kind: 'group', value: spam, state: 'denied' },
    { kind: 'inbox', value: inbox, state: 'allowed' },
  ]);
});

test('herald reads 250 decisions of JavaScript over several pages, the later one counts', { timeout }, async (t) => {
  const [here, there] = await twin(t);
  const others = Array.from({ length: 125 }, anAddress);
  await there.decide([
    ...others.map((one) => ({ allowAddress: { walletAddresses: [one] } })),
    ...others.map((one) => ({ denyAddress: { walletAddresses: [one] } })),
  ]);
  const { states } = await here.ask('consent', { addresses: others });
  assert.deepEqual(states, others.map(() => 'denied'));
});

test('herald allows whom it writes to first, unless it has decided already', { timeout }, async (t) => {
  const [here, there, node] = await twin(t);
  const [friend, spammer] = [await Peer.signIn(t, node.apiUrl), await Peer.signIn(t, node.apiUrl)];
  await here.write(friend.address, 'hello');
  // The answer to a conversation that somebody else opened is a first message as well.
  const opened = await spammer.write(here.address, 'buy now');
  const begun = await here.conversationWith(spammer.address);
  assert.equal(begun.topic, opened.topic);
  assert.deepEqual(await decidedInJs(t, there, [friend.address, spammer.address]), ['allowed', 'unknown']);
  await here.ask('deny', { addresses: [spammer.address] });
  await here.say(begun.topic, text('no'));
  assert.deepEqual(await decidedInJs(t, there, [friend.address, spammer.address]), ['allowed', 'denied']);
});

test('a proof that a JavaScript user signed lets a herald sender in; a proof for another sender does not', { timeout }, async (t) => {
  const node = await startNode(t);
  const [news, spam] = [await Person.connect(t, node), await Person.connect(t, node)];
  const reader = await Peer.signIn(t, node.apiUrl);
  const timestamp_ms = Date.now() - DAY_MS;
  const signature = await reader.wallet.signMessage(createConsentMessage(news.address, timestamp_ms));
  for (const sender of [news, spam]) {
    await sender.ask('start', { peer: reader.address, consent_proof: { signature, timestamp_ms } });
  }
  const conversation = await reader.conversationWith(news.address);
  assert.equal(conversation.consentProof.signature, signature);
  assert.deepEqual(await decidedInJs(t, reader, [news.address, spam.address]), ['allowed', 'unknown']);
});

/** A JavaScript sender's conversation with a herald reader, with a proof that the reader signed or did not. */
async function withProof(t, node, reader, { signature, timestamp_ms }) {
  const sender = await Peer.signIn(t, node.apiUrl);
  const proof = createConsentProofPayload(await signature(sender, timestamp_ms), timestamp_ms);
  await sender.client.conversations.newConversation(reader.address, undefined, invitation.ConsentProofPayload.decode(proof));
  return sender.address;
}

test('a proof that a herald user signed lets a JavaScript sender in; forged, old and future ones do not', { timeout }, async (t) => {
  const node = await startNode(t);
  const reader = await Person.connect(t, node);
  const signed = async (sender, timestamp_ms) =>
    (await reader.ask('consent_proof', { sender: sender.address, timestamp_ms })).signature;
  const forged = (sender, timestamp_ms) => sender.wallet.signMessage(createConsentMessage(sender.address, timestamp_ms));
  const now = Date.now();
  const addresses = [
    await withProof(t, node, reader, { signature: signed, timestamp_ms: now - DAY_MS }),
    await withProof(t, node, reader, { signature: forged, timestamp_ms: now - DAY_MS }),
    await withProof(t, node, reader, { signature: signed, timestamp_ms: now - 31 * DAY_MS }),
    await withProof(t, node, reader, { signature: signed, timestamp_ms: now + DAY_MS }),
  ];
  const { states } = await reader.ask('consent', { addresses });
  assert.deepEqual(states, ['allowed', 'unknown', 'unknown', 'unknown']);
  const conversations = await reader.conversations();
  assert.equal(conversations.length, 4);
  assert.equal(conversations[0].consent_proof.timestamp_ms, now - DAY_MS);
  // The proof became a decision that every client of the wallet reads.
  const there = await Peer.signIn(t, node.apiUrl, reader.wallet);
  assert.deepEqual(await decidedInJs(t, there, addresses), ['allowed', 'unknown', 'unknown', 'unknown']);
});

test('a proof does not overrule a denial', { timeout }, async (t) => {
  const node = await startNode(t);
  const reader = await Person.connect(t, node);
  const signature = async (sender, timestamp_ms) => {
    await reader.ask('deny', { addresses: [sender.address] });
    return (await reader.ask('consent_proof', { sender: sender.address, timestamp_ms })).signature;
  };
  const address = await withProof(t, node, reader, { signature, timestamp_ms: Date.now() - DAY_MS });
  assert.equal(await reader.consent(address), 'denied');
});
