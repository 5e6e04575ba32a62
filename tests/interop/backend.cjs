'use strict';
// A web server of a bot's author on this machine, which keeps what it is told.

const http = require('node:http');
const { atEnd } = require('./ending.cjs');

/** Answers with these statuses, one after the other, then with 200. */
async function backend(t, ...statuses) {
  const told = [];
  const server = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      told.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      response.statusCode = statuses.shift() ?? 200;
      response.end();
    });
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  atEnd(t, () => new Promise((closed) => server.close(closed)));
  return { told, url: `http://127.0.0.1:${server.address().port}/hooks` };
}

module.exports = { backend };
