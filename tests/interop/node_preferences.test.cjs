'use strict';
// Private preferences under JavaScript clients: what a wallet decided about others, as a log that only it can read.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { Wallet } = require('ethers');
const { startNode } = require('./herald.cjs');
const { Peer } = require('./peer.cjs');
const { until } = require('./wait.cjs');

const timeout = 90_000;
const address = () => Wallet.createRandom().address;

test('250 decisions come back over several pages, and the later one counts', { timeout }, async (t) => {
  const node = await startNode(t);
  const alice = await Peer.signIn(t, node.apiUrl);
  const others = Array.from({ length: 125 }, (_, index) => `0x${String(index).padStart(40, '0')}`);
  await alice.decide([
    ...others.map((one) => ({ allowAddress: { walletAddresses: [one] } })),
    ...others.map((one, index) => (index % 2 ? { denyAddress: { walletAddresses: [one] } } : { allowGroup: { groupIds: [one] } })),
  ]);

  const entries = await (await alice.again(t)).client.contacts.loadConsentList();
  assert.equal(entries.size, 125 + 63);
  for (const [index, one] of others.entries()) {
    assert.equal(entries.get(`address-${one}`), index % 2 ? 'denied' : 'allowed', `decision ${index}`);
  }
});

for (const release of [11, 13]) {
  test(`what release ${release} decides is seen by another client of the wallet, live and later`, { timeout }, async (t) => {
    const node = await startNode(t);
    const here = await Peer.signIn(t, node.apiUrl, undefined, { release });
    const there = await here.again(t);
    const live = await there.listenToConsent();
    const [friend, spammer] = [address(), address()];
    await here.client.contacts.allow([friend]);
    await here.client.contacts.deny([spammer]);
    await until('two actions', () => live.length >= 2);
    const decided = live.map(({ allowAddress, denyAddress }) => [allowAddress?.walletAddresses, denyAddress?.walletAddresses]);
    assert.deepEqual(decided, [[[friend], undefined], [undefined, [spammer]]]);

    const later = await here.again(t);
    assert.deepEqual([await later.consent(friend), await later.consent(spammer), await later.consent(address())], ['allowed', 'denied', 'unknown']);
  });
}

test('who opens a conversation has allowed its peer, who has decided nothing', { timeout }, async (t) => {
  const node = await startNode(t);
  const [alice, bob] = [await Peer.signIn(t, node.apiUrl), await Peer.signIn(t, node.apiUrl)];
  await alice.client.conversations.newConversation(bob.address);
  assert.equal(await (await alice.again(t)).consent(bob.address), 'allowed');
  assert.equal(await bob.consent(alice.address), 'unknown');
});
