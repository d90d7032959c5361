'use strict';

const { randomBytes } = require('node:crypto');

const { rulesOf } = require('../collectors/redaction-rules.js');
const { NanosecondClock } = require('./clock.js');
const { defaultFolder } = require('./folder.js');

/**
 * @typedef {object} SenderOptions
 * @property {import('./stream.js').Caller & {endpoint: string, headers?: Record<string, string>}} client
 * @property {string} [producer] 32 hex digits, never used before; random
 * @property {string | null} [spoolDir] folder for what the gateway can't take now; null for none
 * @property {number} [memoryBytes] most that waits in memory; 32 MiB
 * @property {number} [memoryEntries] most entries that wait in memory without a number; 100,000
 * @property {number} [spoolBytes] most that waits on disk; 256 MiB
 * @property {boolean} [spoolSync] whether each write of the spool is synced: a power cut then loses no more of it than kill -9; false
 * @property {number} [batchEntries] of a batch; 1,000
 * @property {number} [batchBytes] of a batch; 256 KiB
 * @property {number} [lingerMs] how long an entry waits for its batch to fill; 10, and five times that when many come and nobody waits for one
 * @property {number} [callTimeoutMs] of one call; 10,000
 * @property {number} [farewellMs] longest that the end of the host is held up; 2,000
 * @property {import('../collectors/redaction-rules.js').RedactionSettings} [redaction] what is masked beside the usual
 * @property {() => string} [now] nanoseconds since 1970, in digits
 */

const LIMITS = Object.freeze({
  memoryBytes: 32 << 20,
  memoryEntries: 100_000,
  spoolBytes: 256 << 20,
  batchEntries: 1_000,
  batchBytes: 256 << 10,
  lingerMs: 10,
  callTimeoutMs: 10_000,
  farewellMs: 2_000,
});

/** A numbered batch has at most so many. */
const BATCH_ENTRIES_MAX = 65_536;

/**
 * All options of a Sender, checked.
 * @param {SenderOptions} options
 * @throws {TypeError} which names the option
 */
function settingsOf(options) {
  if (typeof options?.client?.callText !== 'function') {
    throw wrong('client', options?.client, 'a JSONRPCClient');
  }
  const producer = options.producer ?? randomBytes(16).toString('hex');
  if (!/^[0-9a-f]{32}$/.test(producer)) {
    throw wrong('producer', producer, '32 hex digits in lower case');
  }
  const clock = new NanosecondClock();
  return {
    client: options.client,
    producer,
    spoolDir:
      options.spoolDir === undefined
        ? defaultFolder(options.client.endpoint)
        : options.spoolDir,
    spoolSync: options.spoolSync === true,
    redaction: rulesOf(options.redaction),
    now: options.now ?? (() => clock.text()),
    ...limitsOf(options),
  };
}

/** @param {SenderOptions} options */
function limitsOf(options) {
  const limits = { ...LIMITS };
  for (const name of /** @type {Array<keyof LIMITS>} */ (Object.keys(LIMITS))) {
    const value = options[name];
    if (value === undefined) continue;
    const isTooMany = name === 'batchEntries' && value > BATCH_ENTRIES_MAX;
    if (!Number.isInteger(value) || value < 0 || isTooMany) {
      const most = name === 'batchEntries' ? ' to 65,536' : '';
      throw wrong(name, value, `a whole number from 0${most}`);
    }
    /** @type {Record<string, number>} */ (limits)[name] = value;
  }
  return limits;
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {string} expected
 */
function wrong(name, value, expected) {
  return new TypeError(`${name}: ${String(value)}; expected ${expected}`);
}

module.exports = { settingsOf };
