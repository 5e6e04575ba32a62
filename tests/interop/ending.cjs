'use strict';
// What a test must undo when it ends, in reverse order: streams before programs, programs before their folders.

const undoing = new WeakMap();

/** Runs `undo` when the test ends, however it ends; every one runs, and the first failure fails the test. */
function atEnd(t, undo) {
  if (!undoing.has(t)) {
    undoing.set(t, []);
    t.after(async () => {
      const failures = [];
      for (const one of undoing.get(t).reverse()) await Promise.resolve().then(one).catch((error) => failures.push(error));
      if (failures.length > 0) throw failures[0];
    });
  }
  undoing.get(t).push(undo);
}

module.exports = { atEnd };
