'use strict';
// Joining by web: what a JavaScript wallet signs travels in the invitation, and its XMTP client allows the bot by it.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { createConsentMessage } = require('@xmtp/consent-proof-signature');
const { Wallet } = require('ethers');
const { runBot } = require('./herald.cjs');
const { Peer, holdsExactly } = require('./peer.cjs');

const timeout = 90_000;

test('the signature of a join by web lets the bot in', { timeout }, async (t) => {
  const environment = { JOINING_KEY: Wallet.createRandom().privateKey };
  const bot = await runBot(t, path.join(__dirname, 'bots/joining.yaml'), { environment });
  const reader = await Peer.signIn(t, bot.apiUrl);
  const list = `http://${bot.api}/v1/bots/joining/lists/readers`;
  const asked = await (await fetch(`${list}/consent-text?wallet=${reader.address}`)).json();
  // The text is the one that XMTP's own package makes.
  assert.equal(asked.text, createConsentMessage(bot.address, asked.timestamp));
  const signature = await reader.wallet.signMessage(asked.text);
  const body = JSON.stringify({ wallet: reader.address, signature, timestamp: asked.timestamp });
  const headers = { 'content-type': 'application/json' };
  const joined = await fetch(`${list}/members`, { method: 'POST', headers, body });
  assert.equal(joined.status, 201, await joined.text());
  const conversation = await reader.conversationWith(bot.address);
  await holdsExactly(conversation, 'Welcome.');
  assert.equal(conversation.consentProof.signature, signature);
  const fresh = await reader.again(t);
  await fresh.conversations();
  await fresh.client.contacts.loadConsentList();
  assert.equal(fresh.client.contacts.consentState(bot.address), 'allowed');
});
