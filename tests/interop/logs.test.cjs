'use strict';
// What a contract logs on a chain reaches the people it concerns: a real EVM node, contracts called with ethers, and the
// JavaScript client reading what herald made of the events.

const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { Wallet, utils } = require('ethers');
const { chain, contracts } = require('./chain.cjs');
const { folder, runBot } = require('./herald.cjs');
const { Peer, holdsExactly } = require('./peer.cjs');

const timeout = 120_000;

test('a transfer is read by who got it, in human amounts, once it is confirmed', { timeout }, async (t) => {
  const { url, deploy, mine } = await chain(t);
  const token = await deploy('Token');
  const place = folder(t);
  fs.writeFileSync(
    path.join(place, 'herald.yaml'),
    `herald: 1\nchains: { local: { id: 31337, rpc: ["${url}"], confirmations: 2 } }\n`,
  );
  const file = path.join(place, 'teller.yaml');
  fs.writeFileSync(
    file,
    `herald: 1
bot: teller
identity: env:TELLER_KEY
defaults: { consent: transactional }
rules:
  paid:
    when:
      log: Transfer(address indexed from, address indexed to, uint256 value)
      chain: local
      at: ${token.address}
      where: units(event.value, 18) >= 1
      start: 0
    to: { wallet: event.to }
    send: "{{ units(event.value, 18) }} TEST in {{ tx }}"
`,
  );
  const bot = await runBot(t, file, { environment: { TELLER_KEY: Wallet.createRandom().privateKey } });
  const [alice, bob] = [await Peer.signIn(t, bot.apiUrl), await Peer.signIn(t, bot.apiUrl)];
  const give = async (to, amount) => {
    const sent = await token.mint(to.address, utils.parseUnits(amount, 18));
    return (await sent.wait()).transactionHash;
  };
  const first = await give(alice, '1250000.5');
  await give(alice, '0.999999999999999999');
  const second = await give(bob, '3');
  await mine(2);
  const read = async (peer, ...texts) => holdsExactly(await peer.conversationWith(bot.address), ...texts);
  await read(alice, `1250000.5 TEST in ${first}`);
  await read(bob, `3 TEST in ${second}`);
});

test('a proposal is told with its long description and its lists', { timeout }, async (t) => {
  const { url, deploy } = await chain(t);
  const governor = await deploy('Governor');
  const place = folder(t);
  fs.writeFileSync(
    path.join(place, 'herald.yaml'),
    `herald: 1\nchains: { local: { id: 31337, rpc: ["${url}"], confirmations: 0 } }\n`,
  );
  fs.writeFileSync(path.join(place, 'governor.json'), JSON.stringify(contracts().Governor.abi));
  const file = path.join(place, 'council.yaml');
  fs.writeFileSync(
    file,
    `herald: 1
bot: council
identity: env:COUNCIL_KEY
lists:
  voters: { join: /join }
rules:
  proposed:
    when: { log: ProposalCreated, abi: governor.json, chain: local, at: "${governor.address}", start: 0 }
    to: voters
    send: "{{ event.proposalId }} {{ event.description }} ({{ event.targets | length }}: {{ event.targets | first }} {{ event.signatures | first }}), {{ event.voteStart }} to {{ event.voteEnd }}"
`,
  );
  const bot = await runBot(t, file, { environment: { COUNCIL_KEY: Wallet.createRandom().privateKey } });
  const voter = await Peer.signIn(t, bot.apiUrl);
  await voter.write(bot.address, '/join');
  await bot.event('joined', { wallet: voter.address });
  const id = utils.keccak256(utils.toUtf8Bytes('a proposal'));
  const description = `More bridges 🌉\n${'They are good. '.repeat(200)}`;
  await (await governor.propose(id, 10, 20, description)).wait();
  const told = `${BigInt(id)} ${description} (1: ${governor.address} burst(uint256,uint256)), 10 to 20`;
  await holdsExactly(await voter.conversationWith(bot.address), '/join', told);
});
