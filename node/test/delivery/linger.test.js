'use strict';

const assert = require('node:assert/strict');
const { mock, test } = require('node:test');

const { Linger } = require('../../src/delivery/linger.js');

/** When a batch is due, in milliseconds of a clock that is set. */
function dueAfter(buffer, isBlocked = false) {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    let isDue = false;
    const linger = new Linger(10, buffer, () => {
      isDue = true;
    });
    linger.start(isBlocked);
    for (let ms = 1; ms <= 1_000; ms++) {
      mock.timers.tick(1);
      if (isDue) return ms;
      assert.equal(linger.isRunning, true);
    }
    return null;
  } finally {
    mock.timers.reset();
  }
}

test('a few entries wait 10 ms for others', () => {
  assert.equal(dueAfter({ count: 3, isAwaited: false }), 10);
});

test('entries that come fast wait longer, unless somebody waits for one', () => {
  assert.equal(dueAfter({ count: 100, isAwaited: false }), 50);
  assert.equal(dueAfter({ count: 100, isAwaited: true }), 10);
});

test('while the gateway is away batches are made ten times a second', () => {
  assert.equal(dueAfter({ count: 3, isAwaited: false }, true), 100);
});
