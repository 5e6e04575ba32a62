'use strict';
// Borrowers with the JavaScript client are warned of their positions on a real chain, each by a line of their own.

const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { Wallet, utils } = require('ethers');
const { chain } = require('./chain.cjs');
const { folder, runBot } = require('./herald.cjs');
const { Peer, holdsExactly } = require('./peer.cjs');

const timeout = 120_000;
const POOL = '0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2';
const MULTICALL = '0xcA11bde05977b3631167028862bE2a173976CA11';
const welcome = (line) => `I watch your Aave position and write below ${line}. Write stop to end it.`;

test('the liquidation bot warns the borrower at risk alone, and says when it is over', { timeout }, async (t) => {
  const { url, put } = await chain(t, '--chain-id', '1');
  const pool = await put('Lending', POOL);
  await put('Multicall', MULTICALL);
  const set = async (peer, health) =>
    (await pool.set(peer.address, 2_500_000_000_000n, utils.parseUnits(health, 18))).wait();
  const place = folder(t);
  fs.writeFileSync(path.join(place, 'herald.yaml'), `herald: 1\nchains: { ethereum: { rpc: ["${url}"] } }\n`);
  const file = path.join(place, 'liquidation.yaml');
  const example = fs.readFileSync(path.join(__dirname, '../../bots/liquidation.yaml'), 'utf8');
  fs.writeFileSync(file, example.replace('every: 30s', 'every: 1s').replace('for: 1m', 'for: 2s'));
  const bot = await runBot(t, file, { environment: { LIQUIDATION_KEY: Wallet.createRandom().privateKey } });
  const [alice, bob] = [await Peer.signIn(t, bot.apiUrl), await Peer.signIn(t, bot.apiUrl)];
  await set(alice, '1.2');
  await set(bob, '1.2');
  await alice.write(bot.address, '/guard 1.15');
  await bob.write(bot.address, '/guard');
  const read = async (peer, ...texts) => holdsExactly(await peer.conversationWith(bot.address), ...texts);
  await read(alice, '/guard 1.15', welcome('1.15'));
  await read(bob, '/guard', welcome('1.10'));
  await set(alice, '1.12');
  await set(bob, '1.12');
  const warning =
    '⚠️ Your Aave health factor is 1.12 (your line is 1.15).\nDebt $25,000.00. Repay or add collateral: https://app.aave.com';
  await read(alice, '/guard 1.15', welcome('1.15'), warning);
  await set(alice, '1.2');
  await read(alice, '/guard 1.15', welcome('1.15'), warning, '✅ Back to 1.20. Nothing more to do.');
  await read(bob, '/guard', welcome('1.10'));
});
