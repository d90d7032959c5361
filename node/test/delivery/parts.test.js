'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { EntryBuffer } = require('../../src/delivery/buffer.js');
const { NanosecondClock } = require('../../src/delivery/clock.js');
const { defaultFolder } = require('../../src/delivery/folder.js');
const { rankOf } = require('../../src/delivery/levels.js');
const { Reasons } = require('../../src/delivery/reasons.js');
const { Entry } = require('../../src/delivery/receipt.js');

/** A buffer, and what it dropped. */
function buffering(limits) {
  const dropped = [];
  const all = { bytes: 1 << 20, entries: 1_000, ...limits };
  const buffer = new EntryBuffer(all, (entry) => dropped.push(entry));
  return { buffer, dropped };
}

test('a buffer gives entries in their order, bounded by count and by bytes', () => {
  const { buffer } = buffering();
  for (let index = 0; index < 10; index++) {
    buffer.push(new Entry('x'.repeat(100), 2), 0);
  }
  assert.equal(buffer.take(3, 1_000).length, 3);
  assert.equal(buffer.take(10, 250).length, 2);
  assert.equal(buffer.take(10, 10).length, 1);
  assert.equal(buffer.take(10, 1_000).length, 4);
  assert.equal(buffer.count, 0);
  assert.equal(buffer.bytes, 0);
});

test('a full buffer drops the oldest of the lowest level', () => {
  const { buffer, dropped } = buffering({ entries: 64 });
  const ranks = [4, 1, 2, 1];
  for (let index = 0; index < 64; index++) {
    buffer.push(new Entry(String(index), ranks[index % 4]), 0);
  }
  assert.equal(buffer.push(new Entry('new', 2), 0), true);
  assert.deepEqual(
    dropped.map(({ text }) => text),
    ['1', '3'],
  );
});

test('an entry of a lower level than all others does not displace them', () => {
  const { buffer, dropped } = buffering({ entries: 10 });
  for (let index = 0; index < 10; index++) buffer.push(new Entry('e', 4), 0);
  assert.equal(buffer.push(new Entry('d', 1), 0), false);
  assert.equal(buffer.push(new Entry('e', 4), 0), true);
  assert.equal(dropped.length, 1);
});

test('what others hold counts, too', () => {
  const { buffer } = buffering({ bytes: 10_000 });
  assert.equal(buffer.push(new Entry('e', 4), 9_000), true);
  assert.equal(buffer.push(new Entry('e', 4), 9_900), false);
});

test('an entry that no buffer of this size holds is refused and costs no others', () => {
  const { buffer, dropped } = buffering({ bytes: 10_000 });
  buffer.push(new Entry('small', 4), 0);
  assert.equal(buffer.push(new Entry('x'.repeat(20_000), 5), 0), false);
  assert.deepEqual([buffer.count, dropped.length], [1, 0]);
});

test('the clock has nanoseconds that grow, and follows when the time is set', () => {
  let now = 1_790_000_000_123;
  let monotonic = [5, 999_999_999];
  const clock = new NanosecondClock(
    () => now,
    () => monotonic,
  );
  assert.equal(clock.text(), '1790000000123000000');
  monotonic = [6, 3];
  now += 0;
  assert.equal(clock.text(), '1790000000123000004');
  monotonic = [7, 3];
  now += 1_001;
  assert.equal(clock.text(), '1790000001123000004');
  monotonic = [8, 3];
  now -= 3_600_000;
  assert.equal(clock.text(), '1789996401124000000');
});

test('levels have the names and numbers that the pipeline knows', () => {
  const ranks = ['trace', 'DEBUG', 'Info', 'warning', 'err', 'crit', 10, 60, 3];
  assert.deepEqual(ranks.map(rankOf), [0, 1, 2, 3, 4, 5, 0, 5, 4]);
  for (const odd of [undefined, null, 'loud', {}, NaN]) {
    assert.equal(rankOf(odd), 2);
  }
});

test('reasons are counted without their values, and are few', () => {
  const reasons = new Reasons();
  reasons.add("timestamp: 'a;b' is no time; expected ISO 8601");
  reasons.add('message: 2,000,000 bytes; expected at most 1,048,576 bytes');
  reasons.add('message: 3,000,000 bytes; expected at most 1,048,576 bytes');
  const letters = 'abcdefghij';
  for (const one of letters) {
    for (const other of letters) reasons.add(one + other);
  }
  const counts = reasons.toObject();
  assert.equal(counts['message: N bytes'], 2);
  assert.equal(counts["timestamp: '...' is no time"], 1);
  assert.equal(Object.keys(counts).length, 51);
  assert.equal(reasons.total, 103);
});

test('each gateway has a folder of its own for spools', () => {
  const env = { XDG_STATE_HOME: '/state' };
  assert.equal(
    defaultFolder('http://[::1]:8888/rpc', env),
    '/state/recursive-log-pipeline/node-spool/___1__8888',
  );
});
