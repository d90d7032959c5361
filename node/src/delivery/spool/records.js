'use strict';

/**
 * The bytes of a segment: a head, then records; SPOOL.md describes them. No I/O.
 *
 * @module
 */

const { crc32 } = require('node:zlib');

const HEAD_BYTES = 32;
const RECORD_BYTES = 33;
const MAGIC = Buffer.from('RNS1');
/** 0xff is in no UTF-8, so no entry holds it. */
const MARKER = Buffer.from([0xff, 0x52, 0x4c, 0xff]);
/** Of one record's body: an entry may have 1 MiB of text, six characters each. */
const BODY_MAX = 16 << 20;

/** Entries of a batch. */
const BATCH = 1;
/** Numbers up to `sequence` are stored. */
const MARK = 2;

/**
 * @typedef {object} RecordHead
 * @property {number} kind
 * @property {number} sequence
 * @property {number} count
 * @property {number} dropped entries dropped so far before they had a number
 */

/** @typedef {RecordHead & {offset: number, length: number}} Found where its body stands */

/**
 * @param {string} producer 32 hex digits
 * @param {number} first
 */
function encodeHead(producer, first) {
  const head = Buffer.alloc(HEAD_BYTES);
  MAGIC.copy(head);
  head.write(producer, 4, 'hex');
  head.writeBigUInt64LE(BigInt(first), 20);
  head.writeUInt32LE(crc32(head.subarray(0, 28)), 28);
  return head;
}

/**
 * Producer and first number of a segment; null for anything else.
 * @param {Buffer} bytes
 */
function maybeHead(bytes) {
  if (bytes.length < HEAD_BYTES || !bytes.subarray(0, 4).equals(MAGIC)) {
    return null;
  }
  if (bytes.readUInt32LE(28) !== crc32(bytes.subarray(0, 28))) return null;
  const producer = bytes.toString('hex', 4, 20);
  return { producer, first: Number(bytes.readBigUInt64LE(20)) };
}

/**
 * What stands before a record's body.
 * @param {RecordHead} record
 * @param {Buffer} body
 */
function encodeRecord({ kind, sequence, count, dropped }, body) {
  const head = Buffer.alloc(RECORD_BYTES);
  MARKER.copy(head);
  head.writeUInt8(kind, 4);
  head.writeUInt32LE(body.length, 5);
  head.writeBigUInt64LE(BigInt(sequence), 9);
  head.writeUInt32LE(count, 17);
  head.writeBigUInt64LE(BigInt(dropped), 21);
  head.writeUInt32LE(crc32(body, crc32(head.subarray(0, 29))), 29);
  return head;
}

/**
 * The record at a place; null when none is there whole.
 * @param {Buffer} bytes
 * @param {number} at
 * @returns {Found | null}
 */
function maybeRecord(bytes, at) {
  const offset = at + RECORD_BYTES;
  if (offset > bytes.length || bytes.indexOf(MARKER, at) !== at) return null;
  const length = bytes.readUInt32LE(at + 5);
  if (length > BODY_MAX || offset + length > bytes.length) return null;
  const fields = bytes.subarray(at, at + 29);
  const body = bytes.subarray(offset, offset + length);
  if (crc32(body, crc32(fields)) !== bytes.readUInt32LE(at + 29)) return null;
  return {
    kind: bytes.readUInt8(at + 4),
    sequence: Number(bytes.readBigUInt64LE(at + 9)),
    count: bytes.readUInt32LE(at + 17),
    dropped: Number(bytes.readBigUInt64LE(at + 21)),
    offset,
    length,
  };
}

/**
 * All whole records of a segment. What is damaged is passed over.
 * @param {Buffer} bytes
 * @returns {{records: Found[], damaged: number, end: number}} damaged places within, and where the last record ends
 */
function scan(bytes) {
  /** @type {Found[]} */
  const records = [];
  let damaged = 0;
  let isTorn = false;
  let end = HEAD_BYTES;
  let at = HEAD_BYTES;
  while (at !== -1 && at < bytes.length) {
    const record = maybeRecord(bytes, at);
    if (record === null) {
      isTorn = true;
      at = bytes.indexOf(MARKER, at + 1);
      continue;
    }
    if (isTorn) damaged++;
    isTorn = false;
    records.push(record);
    at = end = record.offset + record.length;
  }
  return { records, damaged, end };
}

module.exports = {
  BATCH,
  HEAD_BYTES,
  MARK,
  RECORD_BYTES,
  encodeHead,
  encodeRecord,
  maybeHead,
  maybeRecord,
  scan,
};
