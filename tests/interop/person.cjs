'use strict';
// A person with herald's client: the program of person.rs, one command a line. The commands and what they answer are told there.

const assert = require('node:assert/strict');
const path = require('node:path');
const { Wallet } = require('ethers');
const { text } = require('./contents.cjs');
const { Program, root } = require('./herald.cjs');
const { until } = require('./wait.cjs');

const PERSON = process.env.HERALD_PERSON_BIN ?? path.join(root, 'target/debug/examples/person');

class Person extends Program {
  constructor(t) {
    super(t, PERSON, [], {}, 'pipe');
    this.t = t;
    this.asked = 0;
    this.waiting = new Map();
    this.streams = new Map();
    // A program that is gone is told by its exit, not by a write that fails.
    this.child.stdin.on('error', () => {});
    this.ended.then((how) => this.waiting.forEach(({ reject }) => reject(new Error(`ended with ${how}\n${this}`))));
  }

  /** Signs a wallet in at the node; `keys` in place of the wallet are an exported bundle. */
  static async connect(t, node, { wallet = Wallet.createRandom(), ...options } = {}) {
    const person = new Person(t);
    person.node = node;
    person.wallet = wallet;
    const key = options.keys || options.mnemonic ? {} : { key: wallet.privateKey.slice(2) };
    const { address } = await person.ask('connect', { node: node.grpcUrl, ...key, ...options });
    person.address = address;
    return person;
  }

  /** The same wallet in another program, which remembers only what a cache in `options` keeps. */
  again(options) {
    return Person.connect(this.t, this.node, { wallet: this.wallet, ...options });
  }

  /** Runs a command; a refusal rejects with its text. */
  ask(command, args = {}) {
    const id = ++this.asked;
    const answer = new Promise((resolve, reject) => {
      const late = () => reject(new Error(`no answer to ${command} in 60 s\n${this}`));
      const deadline = setTimeout(late, 60_000);
      const settled = (settle) => (value) => {
        clearTimeout(deadline);
        this.waiting.delete(id);
        settle(value);
      };
      this.waiting.set(id, { resolve: settled(resolve), reject: settled(reject) });
    });
    if (this.exit === undefined) this.child.stdin.write(`${JSON.stringify({ id, command, ...args })}\n`);
    else this.waiting.get(id).reject(new Error(`ended with ${this.exit} before ${command}\n${this}`));
    return answer;
  }

  /** Takes an answer to who waits for it, and an event to its stream. */
  heard(line) {
    super.heard(line);
    if (line.event) {
      this.heardOf(line.stream).push(line.message ?? line.conversation ?? line.entry ?? line);
    } else if (line.error !== undefined) {
      this.waiting.get(line.id)?.reject(new Error(line.error));
    } else {
      this.waiting.get(line.id)?.resolve(line.ok);
    }
  }

  heardOf(stream) {
    if (!this.streams.has(stream)) this.streams.set(stream, []);
    return this.streams.get(stream);
  }

  /** Opens a stream and collects what it yields, from the moment the node has confirmed it. */
  async listen(what, args) {
    const { stream } = await this.ask('stream', { what, ...args });
    return this.heardOf(stream);
  }

  /** Writes a content to a wallet or into a conversation. */
  say(to, content, options) {
    const where = to.startsWith('/') ? { topic: to } : { peer: to };
    return this.ask('send', { ...where, content, ...options });
  }

  /** Opens or continues the conversation with a wallet and writes texts into it. */
  async write(peer, ...texts) {
    const conversation = await this.ask('start', { peer });
    for (const words of texts) await this.say(conversation.topic, text(words));
    return conversation;
  }

  /** Conversations as they stand on the network now. */
  async conversations() {
    return (await this.ask('conversations')).conversations;
  }

  /** The only conversation with this wallet, once it is there. */
  async conversationWith(address) {
    const find = async () => (await this.conversations()).filter(({ peer }) => peer === address);
    const found = await until(`a conversation with ${address}`, async () => {
      const all = await find();
      return all.length > 0 && all;
    });
    assert.equal(found.length, 1, `one conversation with ${address}`);
    return found[0];
  }

  /** Messages of a conversation, all of which must open. */
  async messages(topic, options) {
    const { messages, rejected } = await this.ask('messages', { topic, ...options });
    assert.deepEqual(rejected, []);
    return messages;
  }

  /** What this wallet has decided about another, read from the network. */
  async consent(address) {
    return (await this.ask('consent', { addresses: [address] })).states[0];
  }

  /** Ends its input, which ends the program. */
  end() {
    this.child.stdin.end();
  }
}

/** What messages of a person say. */
const contentsOf = (messages) => messages.map(({ content, ...other }) => content ?? other);

/** The texts of a person's messages; another content stands for itself. */
const textsOf = (messages) => contentsOf(messages).map((content) => content.text ?? content);

/** Waits until as many messages were heard, and wants exactly these texts, in order. */
async function hears(heard, ...texts) {
  await until(`${texts.length} messages`, () => heard.length >= texts.length, { show: () => JSON.stringify(heard) });
  assert.deepEqual(textsOf(heard), texts);
}

/** Wants exactly these texts in a person's conversation, in order. */
async function reads(person, topic, ...texts) {
  assert.deepEqual(textsOf(await person.messages(topic)), texts);
}

module.exports = { Person, contentsOf, hears, reads, textsOf };
