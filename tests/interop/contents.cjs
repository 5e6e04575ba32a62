'use strict';
// What messages say, in the plain JSON form that tests write and person.rs speaks, and as the codecs of the JavaScript
// client know it. Bytes are base64 in `data`, hexadecimal in the fields of a remote attachment.

const { ContentTypeReaction, ReactionCodec } = require('@xmtp/content-type-reaction');
const { ContentTypeReadReceipt, ReadReceiptCodec } = require('@xmtp/content-type-read-receipt');
const attachments = require('@xmtp/content-type-remote-attachment');
const { ContentTypeReply, ReplyCodec } = require('@xmtp/content-type-reply');
const { ContentTypeText, TextCodec } = require('@xmtp/content-type-text');
const transactions = require('@xmtp/content-type-transaction-reference');

// Release 1.0.2 of this codec predates `shouldPush`, which the client calls.
class TransactionReferenceCodec extends transactions.TransactionReferenceCodec {
  shouldPush() {
    return true;
  }
}

const bytes = (text, encoding) => new Uint8Array(Buffer.from(text, encoding));
const print = (data, encoding) => Buffer.from(data).toString(encoding);
const same = (content) => content;

// One row a type: its codec, and how to come from the plain form to the codec's and back.
const forms = {
  text: {
    id: ContentTypeText,
    codec: new TextCodec(),
    js: ({ text }) => text,
    plain: (text) => ({ text }),
  },
  reaction: { id: ContentTypeReaction, codec: new ReactionCodec(), js: same, plain: same },
  reply: {
    id: ContentTypeReply,
    codec: new ReplyCodec(),
    js: ({ reference, content }) => ({ reference, ...toJs(content) }),
    plain: ({ reference, content, contentType }) => ({ reference, content: toPlain(content, contentType) }),
  },
  read_receipt: { id: ContentTypeReadReceipt, codec: new ReadReceiptCodec(), js: same, plain: same },
  attachment: {
    id: attachments.ContentTypeAttachment,
    codec: new attachments.AttachmentCodec(),
    js: ({ filename, mime_type: mimeType, data }) => ({ filename, mimeType, data: bytes(data, 'base64') }),
    plain: ({ filename, mimeType, data }) => ({ filename, mime_type: mimeType, data: print(data, 'base64') }),
  },
  remote_attachment: {
    id: attachments.ContentTypeRemoteAttachment,
    codec: new attachments.RemoteAttachmentCodec(),
    js: ({ url, content_digest: contentDigest, salt, nonce, secret, scheme, content_length: contentLength, filename }) => {
      const key = { salt: bytes(salt, 'hex'), nonce: bytes(nonce, 'hex'), secret: bytes(secret, 'hex') };
      return { url, contentDigest, ...key, scheme, contentLength, filename };
    },
    plain: ({ url, contentDigest, salt, nonce, secret, scheme, contentLength, filename }) => {
      const key = { salt: print(salt, 'hex'), nonce: print(nonce, 'hex'), secret: print(secret, 'hex') };
      return { url, content_digest: contentDigest, ...key, scheme, content_length: contentLength, filename };
    },
  },
  transaction_reference: {
    id: transactions.ContentTypeTransactionReference,
    codec: new TransactionReferenceCodec(),
    js: ({ namespace, network_id: networkId, reference, metadata }) => ({ namespace, networkId, reference, metadata }),
    plain: ({ namespace, networkId, reference, metadata }) => ({ namespace, network_id: networkId, reference, metadata }),
  },
};

/** Every codec but text, which the client brings itself. */
const codecs = () => Object.values(forms).filter(({ id }) => id !== ContentTypeText).map(({ codec }) => codec);

/** A plain content as `send` of the JavaScript client wants it: `content` and its `contentType`. */
function toJs({ type, ...plain }) {
  const { id, js } = forms[type];
  return { content: js(plain), contentType: id };
}

/** What the JavaScript client decoded, in the plain form. A type without a codec keeps only its name. */
function toPlain(content, contentType) {
  const row = Object.entries(forms).find(([, { id }]) => id.sameAs(contentType));
  if (!row) return { type: 'encoded', content_type: nameOf(contentType) };
  const [type, { plain }] = row;
  return withoutUndefined({ type, ...plain(content) });
}

/** A text in the plain form. */
const text = (words) => ({ type: 'text', text: words });

/** The text that a reader without the codec sees, as the codec packages word it. */
function fallbackOf({ type, ...plain }) {
  const { codec, js } = forms[type];
  return codec.fallback(js(plain));
}

const nameOf = ({ authorityId, typeId, versionMajor, versionMinor }) =>
  `${authorityId}/${typeId}:${versionMajor}.${versionMinor}`;

const withoutUndefined = (content) => Object.fromEntries(Object.entries(content).filter(([, value]) => value !== undefined));

/** One content of every type, some in more than one shape; `reference` is the id of an earlier message. */
function samples(reference) {
  const picture = { type: 'attachment', filename: 'gm ☀️.png', mime_type: 'image/png', data: print([0, 1, 254, 255], 'base64') };
  return [
    text('plain “text” 👋'),
    text(''),
    { type: 'reaction', action: 'added', reference, schema: 'unicode', content: '👍' },
    { type: 'reaction', action: 'removed', reference, schema: 'shortcode', content: ':+1:' },
    { type: 'reply', reference, content: text('an answer') },
    { type: 'reply', reference, content: picture },
    { type: 'reply', reference, content: { type: 'reaction', action: 'added', reference, schema: 'custom', content: 'x' } },
    { type: 'read_receipt' },
    picture,
    remoteAttachment('https://files.example/gm'),
    { type: 'transaction_reference', network_id: 1, reference: `0x${'ab'.repeat(32)}` },
    {
      type: 'transaction_reference',
      namespace: 'eip155',
      network_id: '0x2105',
      reference: '',
      metadata: {
        transactionType: 'transfer',
        currency: 'USDC',
        amount: 1.5,
        decimals: 6,
        fromAddress: `0x${'11'.repeat(20)}`,
        toAddress: `0x${'22'.repeat(20)}`,
      },
    },
  ];
}

/** A reference to a file that need not exist. */
function remoteAttachment(url) {
  const key = { salt: '01'.repeat(32), nonce: '02'.repeat(12), secret: '03'.repeat(32) };
  const about = { scheme: 'https://', content_length: 19, filename: 'gm.png' };
  return { type: 'remote_attachment', url, content_digest: 'ab'.repeat(32), ...key, ...about };
}

module.exports = { codecs, fallbackOf, samples, text, toJs, toPlain };
