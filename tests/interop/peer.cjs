'use strict';
// A person with the published XMTP JavaScript client.

const assert = require('node:assert/strict');
const { Wallet } = require('ethers');
const { codecs, toJs, toPlain } = require('./contents.cjs');
const { atEnd } = require('./ending.cjs');
const { until } = require('./wait.cjs');

// Releases by their major version. Only CommonJS: the ESM build of the client does not load in Node.
const releases = { 7: 'xmtp-js-7', 9: 'xmtp-js-9', 11: 'xmtp-js-11', 13: '@xmtp/xmtp-js' };

// The client gives no sign when a stream is live, or when it has read what was there before. So the node's answers are
// noted here: who asked (each peer has an app version of its own), for which topics, and whether it was called off since.
const answered = { subscribe: [], query: [] };
const plainFetch = globalThis.fetch;
globalThis.fetch = async (url, init) => {
  const response = await plainFetch(url, init);
  const answers = answered[String(url).split('/message/v1/')[1]];
  if (response.ok && answers) {
    const who = new Headers(init.headers).get('x-app-version');
    answers.push({ who, topics: JSON.parse(init.body).contentTopics, signal: init.signal });
  }
  return response;
};

let peers = 0;

/**
 * Hands each envelope to its stream when the one before has been read. The client reads envelopes that arrive together
 * side by side, and of those a later one may be out first: the order in a stream would say nothing of the node's.
 */
function inOrder(apiClient) {
  const subscribe = apiClient.subscribe.bind(apiClient);
  apiClient.subscribe = (request, read, ...others) => {
    let before = Promise.resolve();
    return subscribe(request, (envelope) => (before = before.then(() => read(envelope))), ...others);
  };
}

class Peer {
  /** Signs a wallet in at the node, with a release of the client and further options of its own. */
  static async signIn(t, apiUrl, wallet = Wallet.createRandom(), { release = 13, ...options } = {}) {
    const peer = new Peer();
    peer.wallet = wallet;
    peer.apiUrl = apiUrl;
    peer.name = `herald-interop/${++peers}`;
    peer.sdk = require(releases[release]);
    if (release === 13) options = { codecs: codecs(), ...options };
    peer.client = await peer.sdk.Client.create(wallet, { env: 'local', apiUrl, appVersion: peer.name, ...options });
    inOrder(peer.client.apiClient);
    peer.streams = [];
    atEnd(t, () => Promise.all(peer.streams.map((stream) => stream.return())));
    // Release 7 does not wait for its second contact.
    const contacts = options.publishLegacyContact ? 1 : 2;
    const enough = async () => (await identityOf(apiUrl, peer.address)).contacts.length >= contacts;
    await until(`${contacts} contacts of ${peer.address}`, enough);
    return peer;
  }

  /** The same wallet with a client that remembers nothing. */
  again(t, options) {
    return Peer.signIn(t, this.apiUrl, this.wallet, options);
  }

  get address() {
    return this.client.address;
  }

  /** Conversations as they stand on the network now. */
  conversations() {
    return this.client.conversations.list();
  }

  /** The only conversation with this wallet, once it is there. */
  async conversationWith(address) {
    const find = async () => (await this.conversations()).filter((one) => one.peerAddress === address);
    const found = await until(`a conversation with ${address}`, async () => {
      const all = await find();
      return all.length > 0 && all;
    });
    assert.equal(found.length, 1, `one conversation with ${address}`);
    return found[0];
  }

  /** Opens or continues the conversation with this wallet and writes into it. */
  async write(address, ...texts) {
    const conversation = await this.client.conversations.newConversation(address);
    for (const text of texts) await conversation.send(text);
    return conversation;
  }

  /** Opens or continues a V1 conversation, whatever contact the other has. */
  v1(address) {
    return new this.sdk.ConversationV1(this.client, address, new Date());
  }

  /** What this wallet has decided about another, read from the network. */
  async consent(address) {
    await this.client.contacts.refreshConsentList();
    return this.client.contacts.consentState(address);
  }

  /** Publishes actions of consent, oldest first. Each gets a millisecond of its own: the client keeps one a millisecond. */
  async decide(actions) {
    const start = Date.now() - actions.length;
    const envelopes = [];
    for (const [index, action] of actions.entries()) {
      const [envelope] = await this.client.keystore.createPrivatePreference(action);
      envelopes.push({ ...envelope, timestamp: new Date(start + index) });
    }
    await this.client.publishEnvelopes(envelopes);
  }

  /** Actions of consent of this wallet, from now on. */
  async listenToConsent() {
    const topic = await this.client.keystore.getPrivatePreferencesTopic();
    return this.listen(() => this.client.contacts.streamConsentList(), topic);
  }

  /** Opens a stream and collects what it yields, from the moment the node has confirmed the subscription. */
  async listen(open, topic) {
    const earlier = this.subscriptions().length;
    const stream = await open();
    const heard = [];
    this.streams.push(stream);
    (async () => {
      for await (const message of stream) heard.push(message);
    })().catch((error) => heard.push(error));
    await this.subscribed(topic ?? stream.topics[0], earlier);
    return heard;
  }

  /** Every message to this wallet, also of conversations that open later. */
  listenToAll() {
    return this.listen(() => this.client.conversations.streamAllMessages(), `/xmtp/0/invite-${this.address}/proto`);
  }

  /** Messages of one conversation. */
  listenTo(conversation) {
    return this.listen(() => conversation.streamMessages());
  }

  /** Waits until the node confirmed a subscription to the topic, one that was made after `earlier` ones. */
  subscribed(topic, earlier = 0) {
    const live = ({ topics, signal }) => topics.includes(topic) && !signal?.aborted;
    return until(`a live subscription to ${topic}`, () => this.subscriptions().slice(earlier).some(live));
  }

  /** Waits until `listenToAll` follows a conversation that has opened since: it subscribes anew and reads what is there. */
  async follows(conversation) {
    const read = ({ who, topics }) => who === this.name && topics.includes(conversation.topic);
    await this.subscribed(conversation.topic);
    await until(`${conversation.topic} to be read`, () => answered.query.some(read));
  }

  /** Every subscription of this peer that the node confirmed so far. */
  subscriptions() {
    return answered.subscribe.filter(({ who }) => who === this.name);
  }
}

/** Waits until as many messages were heard, and wants exactly these, in order. */
async function heardExactly(heard, ...texts) {
  const show = () => JSON.stringify(heard.map(textOf));
  await until(`${texts.length} messages`, () => heard.length >= texts.length, { show });
  assert.deepEqual(heard.map(textOf), texts);
}

/** The answer to the one message that was heard: waits for it and takes both off the list. */
async function answerTo(heard) {
  await until('an answer', () => heard.length >= 2, { show: () => JSON.stringify(heard.map(textOf)) });
  assert.equal(heard.length, 2);
  return heard.splice(0)[1];
}

/** Waits until a conversation holds as many messages, and wants exactly these, in order. */
async function holdsExactly(conversation, ...texts) {
  const all = async () => (await conversation.messages()).map(textOf);
  let seen = [];
  const look = async () => (seen = await all()).length >= texts.length;
  await until(`${texts.length} messages in the conversation`, look, { show: () => JSON.stringify(seen) });
  assert.deepEqual(seen, texts);
}

/** Writes a content in its plain form. */
function say(conversation, plain, options) {
  const { content, contentType } = toJs(plain);
  return conversation.send(content, { contentType, ...options });
}

/** What messages say, in the plain form. */
const plainly = (messages) => messages.map(({ content, contentType }) => toPlain(content, contentType));

/** What a message says. Templates that stand in a YAML block may end with line ends, which no reader sees. */
const textOf = (message) => (message instanceof Error ? `${message.stack}` : message.content);

/** Payloads that a node has stored under a topic, as any anonymous reader sees them. */
async function stored(apiUrl, topic) {
  const response = await fetch(`${apiUrl}/message/v1/query`, {
    method: 'POST',
    body: JSON.stringify({ contentTopics: [topic], pagingInfo: { limit: 100 } }),
  });
  assert.equal(response.status, 200);
  return (await response.json()).envelopes.map((envelope) => envelope.message);
}

/** What the network holds of a wallet's identity: its published contacts and its stored key bundles. */
async function identityOf(apiUrl, address) {
  return {
    contacts: await stored(apiUrl, `/xmtp/0/contact-${address}/proto`),
    keys: await stored(apiUrl, `/xmtp/0/privatestore-${address}/key_bundle/proto`),
  };
}

module.exports = { Peer, answerTo, heardExactly, holdsExactly, identityOf, plainly, say, stored, textOf };
