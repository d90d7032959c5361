'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const {
  ConsoleCollector,
} = require('../../src/collectors/console-collector.js');
const { Recording } = require('./recording.js');

/** A console that keeps what is printed. */
function printing() {
  const printed = [];
  const print = (...values) => printed.push(values);
  return {
    printed,
    target: {
      trace: print,
      debug: print,
      log: print,
      info: print,
      warn: print,
      error: print,
    },
  };
}

test('What is printed is printed as before, and logged with its level.', (t) => {
  const logSystem = new Recording();
  const { target, printed } = printing();
  const collector = new ConsoleCollector(logSystem, {
    console: target,
  }).start();
  t.after(() => collector.stop());

  target.log('user %s has %d', 'ann', 3, { a: 1 });
  target.warn('careful');
  target.error('failed', new TypeError('no row'));
  target.debug('\u001b[31mred\u001b[0m token=abcdefgh');

  assert.deepEqual(printed[0], ['user %s has %d', 'ann', 3, { a: 1 }]);
  assert.deepEqual(
    logSystem.entries.map((entry) => [
      entry.level,
      entry.message.split('\n')[0],
    ]),
    [
      ['INFO', 'user ann has 3 { a: 1 }'],
      ['WARN', 'careful'],
      ['ERROR', 'failed TypeError: no row'],
      ['DEBUG', 'red token=[redacted]'],
    ],
  );
  assert.equal(logSystem.entries[2].metadata.error_type, 'TypeError');
  assert.equal(logSystem.entries[0].source, 'console');
});

test('A log system that prints is not logged for ever.', (t) => {
  const { target, printed } = printing();
  const logSystem = {
    log: (entry) => target.log('sent', entry.message),
  };
  const collector = new ConsoleCollector(logSystem, {
    console: target,
  }).start();
  t.after(() => collector.stop());

  target.log('one');

  assert.deepEqual(printed, [['one'], ['sent', 'one']]);
});

test('After stop() the console is as it was.', () => {
  const { target } = printing();
  const before = { ...target };
  const collector = new ConsoleCollector(new Recording(), { console: target });

  collector.start().stop();

  assert.deepEqual(target, before);
});
