'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { Redactor, cutBytes } = require('../../src/collectors/redact.js');

/** Text as it is logged. */
const text = (value, size) => new Redactor().text(value, size);

/** A value as it is logged. */
const value = (given) => new Redactor().value(given);

test('Values of telling keys are masked at any depth.', () => {
  assert.deepEqual(
    value({
      user: 'ann',
      Authorization: 'x',
      'x-api-key': 'x',
      db: { DB_PASSWORD: 'x', aws_secret_access_key: 'x', tries: 3 },
      list: [{ refreshToken: 'x' }],
      max_tokens: 100,
      empty: null,
      cookie: null,
    }),
    {
      user: 'ann',
      Authorization: '[redacted]',
      'x-api-key': '[redacted]',
      db: {
        DB_PASSWORD: '[redacted]',
        aws_secret_access_key: '[redacted]',
        tries: 3,
      },
      list: [{ refreshToken: '[redacted]' }],
      max_tokens: 100,
      empty: null,
      cookie: null,
    },
  );
});

test('What has the form of a secret is masked in any text.', () => {
  const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjMifQ.abc-_123';
  for (const [given, kept] of [
    ['Authorization: Bearer abcdefghijklmnop', 'Authorization: [redacted]'],
    [`sent ${jwt} there`, 'sent [redacted] there'],
    ['card 4111 1111 1111 1111 declined', 'card [redacted] declined'],
    ['card 4111-1111-1111-1112 declined', 'card 4111-1111-1111-1112 declined'],
    ['at 1767225600000000000 ns', 'at 1767225600000000000 ns'],
    ['postgres://app:s3cret@db/x', 'postgres://app:[redacted]@db/x'],
    ['login password="two words" ok', 'login password=[redacted] ok'],
    ['{"api_key": "k-123", "a": 1}', '{"api_key": [redacted], "a": 1}'],
    [`key AKIA${'A1'.repeat(8)}.`, 'key [redacted].'],
    ['nothing here: 42', 'nothing here: 42'],
  ]) {
    assert.equal(
      text(given).replace('[redacted] [redacted]', '[redacted]'),
      kept,
    );
  }
});

test('A secret that a cut goes through leaves nothing of itself.', () => {
  const token = `eyJ${'a'.repeat(50)}.${'b'.repeat(50)}.${'c'.repeat(50)}`;
  const given = `${'x'.repeat(80)} ${token} ${'y'.repeat(5000)}`;

  assert.doesNotMatch(text(given, 100), /eyJ/);
  assert.ok(text(given, 100).length < 130);
});

test('Whatever a host gives comes out as JSON, and is not touched.', () => {
  const circle = { name: 'a' };
  circle.self = circle;
  const throwing = {
    get bad() {
      throw new Error('getter');
    },
    good: 1,
  };
  const given = {
    circle,
    throwing,
    big: 2n ** 70n,
    call: function named() {},
    symbol: Symbol('s'),
    nan: NaN,
    date: new Date(0),
    map: new Map([['token', 'x']]),
    set: new Set([1]),
    bytes: Buffer.alloc(9),
    error: Object.assign(new Error('broken'), { stack: 'at x' }),
    missing: undefined,
    hostile: {
      toJSON() {
        throw new Error('toJSON');
      },
    },
  };

  assert.deepEqual(JSON.parse(JSON.stringify(value(given))), {
    circle: { name: 'a', self: '[circular]' },
    throwing: { bad: '[unreadable]', good: 1 },
    big: '1180591620717411303424',
    call: '[function named]',
    symbol: 'Symbol(s)',
    nan: 'NaN',
    date: '1970-01-01T00:00:00.000Z',
    map: { token: '[redacted]' },
    set: [1],
    bytes: '[9 bytes]',
    error: { type: 'Error', message: 'broken', stack: 'at x' },
    hostile: '[unreadable]',
  });
  assert.equal(given.map.get('token'), 'x');
});

test('A value is bounded in depth, items and characters.', () => {
  let deep = {};
  for (let i = 0; i < 100_000; i += 1) deep = { deep };
  const wide = Object.fromEntries(
    Array.from({ length: 10_000 }, (_, i) => [`key${i}`, 'x'.repeat(100)]),
  );

  for (const given of [deep, wide, Array(1e6).fill('abc'), 'x'.repeat(1e7)]) {
    assert.ok(JSON.stringify(value(given)).length < 16_000);
  }
});

test("A key called __proto__ is a key, and changes nothing else's.", () => {
  const kept = value(JSON.parse('{"__proto__": {"polluted": true}}'));

  assert.equal(JSON.stringify(kept), '{"__proto__":{"polluted":true}}');
  assert.equal({}.polluted, undefined);
});

test('What is masked and cut is counted.', () => {
  const redactor = new Redactor();

  redactor.value({ password: 'x', note: 'token=abcdefgh' });
  redactor.text('x'.repeat(5000));

  assert.equal(redactor.redacted, 2);
  assert.equal(redactor.cut, 1);
});

test('A cut by bytes leaves whole characters.', () => {
  assert.equal(cutBytes('\u00e9\u00e9\u00e9', 5), '\u00e9\u00e9');
  assert.equal(cutBytes('\u{1f600}a', 3), '');
  assert.equal(cutBytes('abc', 3), 'abc');
});

test('No text makes the expressions slow.', () => {
  const begun = process.cpuUsage().user;
  for (const part of [
    '-----BEGIN PRIVATE KEY-----',
    'eyJa.',
    'password: ',
    '://a:',
    '4 ',
    'Bearer ',
    'token="',
  ]) {
    text(part.repeat(4000), 40_000);
  }
  // 7 texts of up to 100 KB: linear expressions take 20 ms, others minutes
  assert.ok(process.cpuUsage().user - begun < 5_000_000);
});
