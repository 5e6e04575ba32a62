'use strict';
// Waiting without sleeping blindly: look at a condition until it holds, and say what was seen when it never did.

const { inspect } = require('node:util');

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Looks until `look` gives something truthy and returns that; after `seconds` fails with what it gave last. */
async function until(what, look, { seconds = 20, show = () => '' } = {}) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > deadline) {
      throw new Error(`waited ${seconds} s for ${what}; last seen: ${inspect(seen)}\n${show()}`);
    }
    await pause(25);
  }
}

module.exports = { until };
