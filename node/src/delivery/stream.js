'use strict';

const { EventEmitter } = require('node:events');
const { promisify } = require('node:util');
const zlib = require('node:zlib');

/** The gateway is busy; `data.retry_after_ms` says until when. */
const BUSY = -32003;
const INVALID_PARAMS = -32602;
/** The numbers do not follow those that are stored. */
const OUT_OF_ORDER = -32010;
const TOO_LARGE = 413;

const CALLS = 4;
const CALLS_BYTES = 4 << 20;
/** The gateway waits 5 s for the disk. */
const TIMEOUT_MS = 10_000;
const BACKOFF_MS = 50;
/** A refused connection costs little, and what waits is wanted soon. */
const BACKOFF_MAX_MS = 1_000;
/** The gateway fails on this batch; after so many times it is given up, so that others go on. */
const INTERNAL = new Set([-32603, -32700, -32600]);
const REFUSALS_MAX = 10;

const gzip = promisify(zlib.gzip);

/** @typedef {import('./batch.js').Batch} Batch */

/**
 * @typedef {object} Caller what is needed of a JSONRPCClient
 * @property {(method: string, params: Array<string | Uint8Array>, options: object) => Promise<any>} callText
 */

/**
 * @typedef {object} StreamOptions
 * @property {Caller} client
 * @property {string} producer 32 hex digits
 * @property {(batch: Batch) => Promise<Buffer | null>} read a batch's entries from where they lie; null when they are gone
 * @property {boolean} [ids] whether ids are asked for
 * @property {number} [calls] calls under way at once
 * @property {boolean} [isPatient] whether the host may end between two calls
 * @property {number} [timeoutMs] of one call
 */

/**
 * One producer's batches on their way to the gateway, each stored exactly once.
 *
 * Several calls are under way together. After a failure one at a time is tried until one
 * succeeds: the lowest, for the ingester takes numbers in their order only. `base` is the
 * lowest number held: what is below is settled, so that a store that has lost it goes on.
 *
 * Events: `settled` (batch, reply or null, reason), `failed` (error), `resumed`, `idle`.
 */
class Stream extends EventEmitter {
  /** @param {StreamOptions} options */
  constructor({ client, producer, read, ids, calls, timeoutMs, isPatient }) {
    super();
    this.producer = producer;
    /** @type {Batch[]} lowest first */
    this.batches = [];
    /** Whether the last call failed. */
    this.isBlocked = false;
    /** Bytes of batches in memory. */
    this.heldBytes = 0;
    this.resent = 0;
    /** Entries given up before they had a number. */
    this.droppedTotal = 0;
    this._client = client;
    this._read = read;
    this._ids = ids ?? false;
    this._calls = calls ?? CALLS;
    this._timeoutMs = timeoutMs ?? TIMEOUT_MS;
    /** Whether one came before those that it follows. */
    this._isCareful = false;
    this._isPatient = isPatient ?? false;
    this._underWay = 0;
    this._bytesUnderWay = 0;
    this._failures = 0;
    /** @type {NodeJS.Timeout | null} */
    this._pause = null;
    this._abort = new AbortController();
  }

  /** Whether one more batch could go at once. */
  get hasRoom() {
    return !this.isBlocked && this.batches.length < this._calls;
  }

  get isIdle() {
    return this.batches.length === 0;
  }

  /** @param {Batch} batch with the numbers that follow */
  add(batch) {
    this.batches.push(batch);
    if (batch.body !== null) this.heldBytes += batch.bytes;
    this.pump();
  }

  /**
   * It lies elsewhere by now, or is not needed any more.
   * @param {Batch} batch
   */
  release(batch) {
    if (batch.body !== null) this.heldBytes -= batch.bytes;
    batch.body = null;
  }

  /** Sends what may be sent now. */
  pump() {
    if (this._pause !== null || this._abort.signal.aborted) return;
    const isSingle = this.isBlocked || this._isCareful;
    const calls = isSingle ? 1 : this._calls;
    for (const batch of this.batches) {
      if (this._underWay >= calls) return;
      if (batch.isUnderWay || batch.isSettled) continue;
      if (this._isTooMuch(batch)) return;
      void this._send(batch);
    }
  }

  /** @param {Batch} batch */
  _isTooMuch({ bytes }) {
    return this._underWay > 0 && this._bytesUnderWay + bytes > CALLS_BYTES;
  }

  /** Sends at once, whatever pause was meant to be made. */
  hurry() {
    if (this._pause !== null) clearTimeout(this._pause);
    this._pause = null;
    this.pump();
  }

  /** Ends all calls; what became of them stays unknown. */
  close() {
    if (this._pause !== null) clearTimeout(this._pause);
    this._abort.abort(new Error('the sender is closed'));
  }

  /** @param {Batch} batch */
  async _send(batch) {
    batch.isUnderWay = true;
    this._underWay++;
    this._bytesUnderWay += batch.bytes;
    if (batch.attempts++ > 0) this.resent++;
    let error = null;
    try {
      await this._call(batch);
    } catch (caught) {
      error = caught;
    }
    batch.isUnderWay = false;
    this._underWay--;
    this._bytesUnderWay -= batch.bytes;
    if (this._abort.signal.aborted) return;
    if (error === null) this._succeed();
    else this._fail(batch, error);
    if (this._isPatient) setTimeout(() => this.pump(), 0).unref();
    else this.pump();
  }

  /** @param {Batch} batch */
  async _call(batch) {
    const body = batch.body ?? (await this._read(batch));
    if (batch.isSettled) return;
    if (body === null) return this._lose(batch, 'its spool was damaged');
    const base = this.batches[0].sequence;
    const before =
      `{"producer":"${this.producer}","sequence":${batch.sequence}` +
      `,"base":${base},"dropped_total":${this.droppedTotal}` +
      `,"ids":${this._ids && batch.needsIds},`;
    const logs = batch.isCompressed ? await packed(body) : plain(body);
    const { signal } = this._abort;
    const reply = await this._client.callText(
      'log_batch',
      [before, ...logs, '}'],
      { signal, timeoutMs: this._timeoutMs },
    );
    if (batch.isSettled) return;
    batch.store(reply);
    this.release(batch);
    this.emit('settled', batch, reply);
  }

  _succeed() {
    this._failures = 0;
    const wasBlocked = this.isBlocked;
    this.isBlocked = false;
    this._isCareful = false;
    this._forget();
    if (wasBlocked) this.emit('resumed');
    if (this.batches.length === 0) this.emit('idle');
  }

  /**
   * @param {Batch} batch
   * @param {any} error
   */
  _fail(batch, error) {
    if (INTERNAL.has(error.code)) batch.refusals++;
    if (isHopeless(error) || batch.refusals >= REFUSALS_MAX) {
      this._lose(batch, `refused by the gateway: ${error.message}`);
      return this._succeed();
    }
    if (error.code === OUT_OF_ORDER) return this._reorder(batch, error);
    this.isBlocked = true;
    // calls that were under way together fail together
    const isFirst = this._pause === null;
    this._rest(error);
    if (isFirst) this.emit('failed', error);
  }

  /**
   * It came before one that it follows, or the store knows less than it did.
   * @param {Batch} batch
   * @param {any} error
   */
  _reorder(batch, error) {
    if (this._isTorn(batch, error.data)) {
      this._lose(batch, 'its numbers were used by another sender');
      return this._succeed();
    }
    this._isCareful = true;
    // the lowest one is sent with itself as base then; others wait for it
    if (batch === this.batches[0]) this._rest(error);
  }

  /** @param {any} error */
  _rest(error) {
    if (this._pause !== null) return;
    this._failures++;
    this._pause = setTimeout(() => {
      this._pause = null;
      this.pump();
    }, this._wait(error));
    this._pause.unref();
  }

  /** @param {any} error */
  _wait(error) {
    const backoff = Math.min(
      BACKOFF_MS * 2 ** (this._failures - 1),
      BACKOFF_MAX_MS,
    );
    const wait = backoff * (0.5 + Math.random() / 2);
    if (error.code !== BUSY) return wait;
    return Math.max(wait, error.data?.retry_after_ms ?? 0);
  }

  /**
   * Whether some of its numbers are stored and others not: it can't come any more.
   * @param {Batch} batch
   * @param {any} data
   */
  _isTorn(batch, data) {
    const expected = data?.expected;
    return expected > batch.sequence && expected <= batch.last;
  }

  /**
   * @param {Batch} batch
   * @param {string} reason
   */
  _lose(batch, reason) {
    batch.lose(reason);
    this.release(batch);
    this.emit('settled', batch, null, reason);
  }

  _forget() {
    let settled = 0;
    while (this.batches[settled]?.isSettled) settled++;
    this.batches.splice(0, settled);
  }
}

/** @param {Buffer} body */
const plain = (body) => ['"logs":[', body, ']'];

/** @param {Buffer} body */
async function packed(body) {
  const list = Buffer.concat([Buffer.from('['), body, Buffer.from(']')]);
  const frame = await gzip(list, { level: zlib.constants.Z_BEST_SPEED });
  return [`"compress":true,"logs":"${frame.toString('base64')}"`];
}

/** @param {any} error */
function isHopeless(error) {
  return error.code === INVALID_PARAMS || error.status === TOO_LARGE;
}

module.exports = { Stream };
