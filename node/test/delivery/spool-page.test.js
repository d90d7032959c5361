'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const records = require('../../src/delivery/spool/records.js');

const PAGE = fs.readFileSync(
  path.join(__dirname, '..', '..', 'SPOOL.md'),
  'utf8',
);

/** Offset and size of each field in a table of the page. */
function fields(name) {
  const [, table] = PAGE.split(`<!-- struct: ${name} -->`);
  const rows = table.trim().split('\n\n')[0].split('\n').slice(2);
  return rows.map((row) => row.split('|').slice(1, 4).map(Number).slice(0, 2));
}

for (const [name, size] of [
  ['head', records.HEAD_BYTES],
  ['record', records.RECORD_BYTES],
]) {
  test(`the fields of a ${name} follow one another and fill it`, () => {
    let end = 0;
    for (const [offset, length] of fields(name)) {
      assert.equal(offset, end);
      end += length;
    }
    assert.equal(end, size);
  });
}

test('the segment of the page is the one that is written', () => {
  const [, block] = PAGE.split('```segment\n');
  const shown = block
    .split('```')[0]
    .split('\n')
    .map((line) => line.split(/ {2,}/)[0].replaceAll(' ', ''))
    .join('');
  const body = Buffer.from('{"a":1},{"b":2}');
  const record = { kind: records.BATCH, sequence: 7, count: 2, dropped: 3 };
  const written = Buffer.concat([
    records.encodeHead('000102030405060708090a0b0c0d0e0f', 7),
    records.encodeRecord(record, body),
    body,
  ]);
  assert.equal(shown, written.toString('hex'));
});
