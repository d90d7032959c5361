'use strict';

const assert = require('node:assert/strict');
const { EventEmitter } = require('node:events');
const test = require('node:test');

const { LoggerCollector } = require('../../src/collectors/logger-collector.js');
const { Recording } = require('./recording.js');

/** A followed logger, and what was logged. */
function following(t) {
  const logSystem = new Recording();
  const logger = new EventEmitter();
  const collector = new LoggerCollector(logSystem, { logger }).start();
  t.after(() => collector.stop());
  return { logger, logSystem, collector };
}

test('An event is an entry of recursive_server.', (t) => {
  const { logger, logSystem } = following(t);

  logger.emit('log', {
    level: 'warn',
    message: 'disk is full',
    metadata: { disk: 'sda', password: 'x' },
    tags: ['disk'],
    trace_id: 't1',
    host: 'a',
  });

  assert.deepEqual(logSystem.entries, [
    {
      source: 'recursive_server',
      level: 'WARN',
      message: 'disk is full',
      metadata: { disk: 'sda', password: '[redacted]', host: 'a' },
      tags: ['server', 'disk'],
      trace_id: 't1',
    },
  ]);
});

test('Level, message and metadata may be values of their own.', (t) => {
  const { logger, logSystem } = following(t);

  logger.emit('log', 'error', 'failed', new Error('why'));

  assert.equal(logSystem.last.level, 'ERROR');
  assert.equal(logSystem.last.message, 'failed');
  assert.equal(logSystem.last.metadata.error.message, 'why');
});

test('What is emitted without sense is an entry, or a count.', (t) => {
  const { logger, logSystem, collector } = following(t);

  for (const event of [undefined, null, 'info', {}, new Error('as event')]) {
    logger.emit('log', event);
  }

  assert.equal(logSystem.entries.length + collector.counters.failed, 5);
  assert.equal(logSystem.last.message, 'as event');
});

test('What is no EventEmitter is refused by name.', () => {
  assert.throws(
    () => new LoggerCollector(new Recording(), { logger: {} }),
    /logger: has no method on\('log', listener\); expected an EventEmitter/,
  );
});
