'use strict';
// A certificate for one test: an authority made on the spot and a server on 127.0.0.1 that it vouches for. DER by hand, as
// Node signs certificates but does not make them.

const crypto = require('node:crypto');

const tlv = (tag, ...parts) => {
  const body = Buffer.concat(parts);
  const { length: bytes } = body;
  // The shortest form, as DER demands and rustls, unlike OpenSSL, insists on.
  const length = bytes < 128 ? [bytes] : bytes < 256 ? [0x81, bytes] : [0x82, bytes >> 8, bytes & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
};
const sequence = (...parts) => tlv(0x30, ...parts);
const oid = (hex) => tlv(0x06, Buffer.from(hex, 'hex'));
const octets = (...parts) => tlv(0x04, ...parts);
const bits = (bytes) => tlv(0x03, Buffer.from([0]), bytes);
const time = (date) => tlv(0x17, Buffer.from(`${date.toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`));
const yes = tlv(0x01, Buffer.from([255]));

const ECDSA_SHA256 = sequence(oid('2a8648ce3d040302'));
const name = (text) => sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, Buffer.from(text)))));
const extension = (id, ...value) => sequence(oid(id), ...value);
const AUTHORITY = [extension('551d13', yes, octets(sequence(yes))), extension('551d0f', yes, octets(bits(Buffer.from([0x06]))))];
const LOOPBACK = [extension('551d11', octets(sequence(tlv(0x87, Buffer.from([127, 0, 0, 1])))))];

const DAY_MS = 86_400_000;

function certificate(subject, publicKey, issuer, signingKey, extensions) {
  const now = Date.now();
  const serial = Buffer.concat([Buffer.from([1]), crypto.randomBytes(8)]);
  const body = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, serial),
    ECDSA_SHA256,
    name(issuer),
    sequence(time(new Date(now - DAY_MS)), time(new Date(now + DAY_MS))),
    name(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...extensions)),
  );
  const der = sequence(body, ECDSA_SHA256, bits(crypto.sign('sha256', body, signingKey)));
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64').match(/.{1,64}/g).join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** A server's key and certificate for 127.0.0.1, and the authority a client must trust for it, all in PEM. */
function loopbackCertificate() {
  const pair = () => crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [authority, server] = [pair(), pair()];
  return {
    key: server.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: certificate('server', server.publicKey, 'authority', authority.privateKey, LOOPBACK),
    roots: certificate('authority', authority.publicKey, 'authority', authority.privateKey, AUTHORITY),
  };
}

module.exports = { loopbackCertificate };
