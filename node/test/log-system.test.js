'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const { after, before, test } = require('node:test');
const vm = require('node:vm');

const { recordOf } = require('../src/error-record.js');
const {
  LogSystem,
  getLogSystem,
  initializeLogSystem,
} = require('../src/index.js');
const { ownConfig } = require('./bridging.js');

let config;
let logSystem;

before(async (t) => {
  config = await ownConfig(t);
  // all ask before there is one; whoever is first makes it
  const asked = [getLogSystem(config), getLogSystem(), initializeLogSystem()];
  logSystem = await asked[0];
  assert.deepEqual(new Set(await Promise.all(asked)), new Set([logSystem]));
});

after(() => logSystem.stop());

/** The entry of a receipt. */
async function entryOf(receipt) {
  const { status, id, reason } = await receipt;
  assert.equal(status, 'received', reason);
  return (await logSystem.call('get_entry', { id })).log;
}

test('a process has one log system; another configuration for it is refused', async () => {
  assert.equal(await getLogSystem(), logSystem);
  assert.equal(logSystem.collectors.constructor.name, 'RecursiveCollectors');
  await assert.rejects(
    getLogSystem({ configPath: 'other.yaml' }),
    /other\.yaml: this process already has a log system/,
  );
});

test('a second copy of the package finds the same', async () => {
  const root = path.join(__dirname, '..', 'src');
  const ours = Object.keys(require.cache).filter((file) =>
    file.startsWith(root),
  );
  const saved = ours.map((file) => [file, require.cache[file]]);
  for (const file of ours) delete require.cache[file];
  const copy = require('../src/index.js');
  for (const [file, module] of saved) require.cache[file] = module;

  assert.notEqual(copy.getLogSystem, getLogSystem);
  assert.equal(await copy.getLogSystem(), logSystem);
});

test('quickLog works alone', async () => {
  const { quickLog } = LogSystem;
  const entry = await entryOf(quickLog('warn', 'disk is full', { free: 0 }));

  assert.deepEqual(
    [entry.source, entry.level, entry.message, entry.metadata, entry.tags],
    ['recursive_shared', 'WARN', 'disk is full', { free: 0 }, ['shared']],
  );
});

test('logError keeps stack, name, code, context and causes', async () => {
  const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
  const error = new TypeError('no answer', { cause });
  const entry = await entryOf(LogSystem.logError(error, { order: 7 }));

  assert.equal(entry.source, 'recursive_error');
  assert.equal(entry.level, 'ERROR');
  assert.equal(entry.message, 'no answer');
  assert.equal(entry.metadata.name, 'TypeError');
  assert.match(entry.metadata.stack, /log-system\.test\.js/);
  assert.equal(entry.metadata.order, 7);
  assert.equal(entry.metadata.cause.message, 'refused');
  assert.equal(entry.metadata.cause.code, 'ECONNREFUSED');
});

test('whatever can be thrown has a record', () => {
  const f = (thrown, message, name) => {
    const record = recordOf(thrown);
    assert.deepEqual([record.message, record.name], [message, name]);
  };
  f('just text', 'just text', 'string');
  f(undefined, 'undefined', 'undefined');
  f(null, 'null', 'null');
  f(0n, '0', 'bigint');
  f(Symbol('s'), 'Symbol(s)', 'symbol');
  f({ reason: 'object' }, '{"reason":"object"}', 'object');
  f(new Error(''), 'Error', 'Error');
  f(
    vm.runInNewContext('new RangeError("of another realm")'),
    'of another realm',
    'RangeError',
  );
  f(Object.create(null), '{}', 'object');
  const hostile = new Proxy(new Error('x'), {
    get() {
      throw new Error('trap');
    },
  });
  f(hostile, '[unreadable]', '[unreadable]');
});

test('all errors of an AggregateError are kept, and circles end', () => {
  const inner = [new Error('one'), 'two'];
  const record = recordOf(new AggregateError(inner, 'both failed'));
  assert.deepEqual(
    record.errors.map(({ message }) => message),
    ['one', 'two'],
  );

  const circle = new Error('a');
  circle.cause = new Error('b', { cause: circle });
  assert.equal(recordOf(circle).cause.cause.message, '[circular]');

  const many = new AggregateError(Array.from({ length: 40 }, () => 'x'));
  assert.equal(
    recordOf(many).errors.length + recordOf(many).errors_omitted,
    40,
  );
});
