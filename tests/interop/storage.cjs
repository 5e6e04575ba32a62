'use strict';
// Where remote attachments lie: an HTTPS server of one test that keeps what is PUT and gives it to who GETs it.

const https = require('node:https');
const { loopbackCertificate } = require('./certificate.cjs');
const { atEnd } = require('./ending.cjs');

/** A storage on a free port; `files` are its contents by path, `roots` the authority that vouches for it. */
async function startStorage(t) {
  const { key, cert, roots } = loopbackCertificate();
  const files = new Map();
  const server = https.createServer({ key, cert }, async (request, response) => {
    if (request.method === 'PUT') {
      files.set(request.url, Buffer.concat(await request.toArray()));
      response.writeHead(201).end();
    } else {
      const file = files.get(request.url);
      response.writeHead(file ? 200 : 404).end(file);
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `https://127.0.0.1:${server.address().port}`;
  const withdraw = trustIn(origin, roots);
  atEnd(t, () => {
    withdraw();
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const url = (path) => `${origin}${path}`;
  return { files, roots, url, fetch: { allow: ['127.0.0.1/32'], roots } };
}

/** Lets `fetch` of this process, which the codec uses, trust the authority for this origin. */
function trustIn(origin, ca) {
  const plainFetch = globalThis.fetch;
  globalThis.fetch = (url, init) => (String(url).startsWith(`${origin}/`) ? request(url, ca) : plainFetch(url, init));
  return () => (globalThis.fetch = plainFetch);
}

function request(url, ca) {
  return new Promise((resolve, reject) => {
    const take = async (response) => resolve(new Response(Buffer.concat(await response.toArray()), { status: response.statusCode }));
    https.get(url, { ca, agent: false }, take).on('error', reject);
  });
}

module.exports = { startStorage };
