'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { EntryProblem, encodeEntry } = require('../../src/delivery/values.js');

const STAMP = '1790000000123456789';

/** The entry as the gateway reads it. */
function encoded(entry) {
  return JSON.parse(encodeEntry(entry, STAMP));
}

/** What becomes of a value in metadata. */
function converted(value) {
  return encoded({ source: 's', message: 'm', metadata: { value } }).metadata
    .value;
}

test('an entry that JSON can hold is written as it is, with the time', () => {
  const entry = {
    source: 's',
    level: 'INFO',
    message: 'snow ☃ 😀 \u2028',
    metadata: { n: 1.5, deep: { a: [null, true] }, when: undefined },
    tags: ['a'],
    trace_id: 't',
  };
  assert.deepEqual(
    encoded(entry),
    JSON.parse(JSON.stringify({ ...entry, timestamp: STAMP })),
  );
});

test('a time of its own is kept, under any of its names', () => {
  for (const name of ['timestamp', 'time', 'ts', '@timestamp']) {
    const made = encoded({ source: 's', message: 'm', [name]: 5 });
    assert.deepEqual(made, { source: 's', message: 'm', [name]: 5 });
  }
  for (const none of [null, undefined]) {
    const made = encoded({ source: 's', message: 'm', time: none, ts: none });
    assert.deepEqual(made, { timestamp: STAMP, source: 's', message: 'm' });
  }
  const date = new Date(0);
  assert.equal(
    encoded({ source: 's', message: 'm', timestamp: date }).timestamp,
    '1970-01-01T00:00:00.000Z',
  );
});

test('what is no entry is named', () => {
  for (const value of [undefined, null, 'text', 5, () => {}, [], Symbol('s')]) {
    assert.throws(
      () => encodeEntry(value, STAMP),
      (error) =>
        error instanceof EntryProblem && /^entry: /.test(error.message),
    );
  }
});

const circular = { name: 'c' };
circular.self = circular;
const shared = { n: 1 };
class Point {
  constructor() {
    this.x = 1;
  }
}

/** @type {Array<[string, unknown, unknown]>} */
const CASES = [
  ['a bigint', 10n ** 20n, '100000000000000000000'],
  ['an integer beyond 64 bits', 1e19, '10000000000000000000'],
  ['NaN', NaN, 'NaN'],
  ['an infinity', -Infinity, '-Infinity'],
  ['a symbol', Symbol('s'), 'Symbol(s)'],
  ['a function', function go() {}, '[function go]'],
  ['a date', new Date(0), '1970-01-01T00:00:00.000Z'],
  ['a date that is none', new Date(NaN), 'Invalid Date'],
  ['a pattern', /a+/g, '/a+/g'],
  ['an address', new URL('http://h/p'), 'http://h/p'],
  ['a map', new Map([['a', 1]]).set(2, new Set([3])), { a: 1, 2: [3] }],
  ['bytes', Buffer.from('hello'), 'aGVsbG8='],
  ['a typed array', new Uint8Array([1, 2]), 'AQI='],
  ['a promise', Promise.resolve(1), '[Promise]'],
  ['an instance', new Point(), { x: 1 }],
  ['a map without prototype', Object.create(null), {}],
  ['a circle', circular, { name: 'c', self: '[circular]' }],
  ['a value that stands twice', [shared, shared], [{ n: 1 }, { n: 1 }]],
  ['a lone surrogate', 'a\ud800b', 'a\ufffdb'],
  ['a lone surrogate in a key', { '\udc00': 1 }, { '\ufffd': 1 }],
  ['a backslash before u', '\\ud800', '\\ud800'],
  [
    'the key __proto__',
    JSON.parse('{"__proto__": 1}'),
    JSON.parse('{"__proto__": 1}'),
  ],
  ['holes and undefined', [new Array(1), undefined], [[null], null]],
  ['toJSON', { toJSON: () => ({ n: 1n }) }, { n: '1' }],
  [
    'toJSON that throws',
    {
      toJSON() {
        throw new Error('no');
      },
    },
    '[unreadable: no]',
  ],
  [
    'a getter that throws',
    {
      a: 1,
      get b() {
        throw new Error('no');
      },
    },
    { a: 1, b: '[unreadable: no]' },
  ],
];

for (const [name, value, expected] of CASES) {
  test(`in metadata, ${name} becomes what can be stored`, () => {
    assert.deepEqual(
      JSON.stringify(converted(value)),
      JSON.stringify(expected),
    );
  });
}

test('an error keeps its name, stack, code, causes and parts', () => {
  const cause = Object.assign(new TypeError('inner'), { code: 'EINNER' });
  const error = new AggregateError([new Error('one')], 'outer', { cause });
  const made = converted(error);
  assert.equal(made.name, 'AggregateError');
  assert.equal(made.message, 'outer');
  assert.match(made.stack, /values\.test\.js/);
  assert.equal(made.cause.code, 'EINNER');
  assert.equal(made.errors[0].message, 'one');
});

test('a proxy that refuses everything is told of', () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  assert.match(converted(proxy), /^\[unreadable: /);
  const made = encoded(
    new Proxy(
      { source: 's', message: 'm' },
      {
        get(target, key) {
          if (key === 'message') throw new Error('no');
          return target[key];
        },
      },
    ),
  );
  assert.equal(made.message, '[unreadable: no]');
});

test('fields that JSON does not see make no broken text', () => {
  const hidden = Object.defineProperty({}, 'message', { value: 'm' });
  assert.deepEqual(encoded(hidden), { timestamp: STAMP });
});

test('a message that is no text is made one', () => {
  const message = (value) => encoded({ source: 's', message: value }).message;
  assert.equal(message(5), '5');
  assert.equal(message(new TypeError('bad')), 'TypeError: bad');
  assert.equal(message({ a: 1n }), '{"a":"1"}');
  assert.equal(message(['a']), '["a"]');
});

test('names that are no text are made it, and a time that is none is that of the call', () => {
  const given = { source: 7, message: 'm', level: 40, trace_id: 9, tags: 5 };
  for (const timestamp of [NaN, new Date(NaN), {}, Symbol('s')]) {
    assert.deepEqual(encoded({ ...given, timestamp }), {
      ...{ source: '7', message: 'm', level: 40, trace_id: '9', tags: ['5'] },
      timestamp: STAMP,
    });
  }
});

test('metadata that is no map becomes its only value', () => {
  const metadata = (value) =>
    encoded({ source: 's', message: 'm', metadata: value }).metadata;
  assert.deepEqual(metadata('text'), { value: 'text' });
  assert.deepEqual(metadata([1]), { value: [1] });
  assert.equal(metadata(new Error('bad')).message, 'bad');
  assert.deepEqual(metadata(new Map([['a', 1]])), { a: 1 });
});

test('what is huge is cut to the limits of the gateway', () => {
  const keys = Object.fromEntries(
    Array.from({ length: 5_000 }, (_, index) => [`k${index}`, index]),
  );
  const deep = {};
  let at = deep;
  for (let level = 0; level < 10_000; level++) at = at.a = {};
  const made = encoded({
    source: 's',
    message: '☃'.repeat(1 << 20),
    metadata: { text: 'x'.repeat(1 << 20), keys, deep, ['k'.repeat(999)]: 1 },
    tags: Array.from({ length: 100 }, () => 't'.repeat(300)),
  });
  assert.ok(Buffer.byteLength(made.message) <= 1 << 20);
  assert.match(made.message, /☃\.\.\.$/);
  assert.ok(Buffer.byteLength(JSON.stringify(made.metadata)) <= 256 << 10);
  assert.equal(made.tags.length, 64);
  assert.ok(Buffer.byteLength(made.tags[0]) <= 256);
  assert.ok(Object.keys(converted(keys)).length <= 1_024);
  assert.match(JSON.stringify(converted(deep)), /nested too deep/);
});
