'use strict';

const { EventEmitter } = require('node:events');
const { isMainThread } = require('node:worker_threads');

const { Adoption } = require('./adoption.js');
const { Batch } = require('./batch.js');
const { EntryBuffer } = require('./buffer.js');
const { deliverSync } = require('./farewell.js');
const { Linger } = require('./linger.js');
const { Masking } = require('./masking.js');
const { Overflow } = require('./overflow.js');
const { Reasons } = require('./reasons.js');
const { outcomesOf, receiptOf } = require('./receipt.js');
const { entriesOf, posted, receive } = require('./receive.js');
const { settingsOf } = require('./settings.js');
const { Stream } = require('./stream.js');

/** The share of memory beyond which batches are written although the gateway is there. */
const MUCH = 0.75;
/** logBatch hands over so many, then others get their turn. */
const SLICE = 1_000;

/** Calls that fail at the end before the rest is left to the spool. */
const TRIES = 2;

const FULL = 'the buffer is full';
const CLOSED = 'the sender is closed';
const SPOOLED =
  'the sender is closed; the entry lies in the spool and is sent by the next one';

/** @typedef {import('./receipt.js').Outcome} Outcome */
/** @typedef {import('./receipt.js').Entry} Entry */
/** @typedef {{last: number, resolve: (isFlushed: boolean) => void}} Flush */

/**
 * Takes entries without ever failing or waiting, and has each stored exactly once.
 *
 * Entries wait in a buffer until they have a number; then their batch is sent, and while
 * that fails it is written to the spool, too. What does not fit goes, lowest level first.
 *
 * Events: `warning` (Error), `blocked` (Error) when a call fails, `resumed`.
 */
class Sender extends EventEmitter {
  /** @param {import('./settings.js').SenderOptions} options */
  constructor(options) {
    super();
    const settings = settingsOf(options);
    const { client, producer, spoolDir } = settings;
    this.producer = producer;
    this._settings = settings;
    this._logged = 0;
    this._stored = 0;
    this._rejected = new Reasons();
    this._masking = new Masking(settings.redaction);
    this._dropped = new Reasons();
    this._nextNumber = 1;
    this._isClosed = false;
    /** Whether somebody was warned since the buffer was last empty. */
    this._isFullTold = false;
    /** @type {Set<Flush>} */
    this._flushes = new Set();
    this._buffer = new EntryBuffer(
      { bytes: settings.memoryBytes, entries: settings.memoryEntries },
      (entry, reason) =>
        reason ? this._drop(entry, reason) : this._dropFull(entry),
    );
    this._linger = new Linger(settings.lingerMs, this._buffer, () =>
      this._number(),
    );
    const warn = (/** @type {Error} */ error) => this.emit('warning', error);
    this._stream = new Stream({
      client,
      producer,
      ids: true,
      timeoutMs: settings.callTimeoutMs,
      read: (batch) => this._overflow.read(batch),
    });
    this._overflow = new Overflow(
      this._stream,
      spoolDir,
      { bytes: settings.spoolBytes, isSynced: settings.spoolSync },
      warn,
    );
    this._adoption =
      spoolDir === null ? null : new Adoption(spoolDir, client, warn);
    this._listen();
  }

  _listen() {
    this._stream.on('settled', (batch, reply, reason) =>
      this._settle(batch, reply, reason),
    );
    this._stream.on('failed', (error) => {
      this._number();
      this.emit('blocked', error);
    });
    this._stream.on('resumed', () => {
      this._number();
      this.emit('resumed');
    });
    this._adoption?.start();
  }

  /** What became of the entries so far, and what waits. */
  get counters() {
    return {
      logged: this._logged,
      stored: this._stored,
      rejected: this._rejected.toObject(),
      redacted: this._masking.redacted,
      redactedBy: this._masking.redactedBy,
      dropped: this._dropped.toObject(),
      waiting: this._waiting,
      spooled: this._overflow.entries,
      spoolBytes: this._overflow.spool?.bytes ?? 0,
      memoryBytes: this._buffer.bytes + this._stream.heldBytes,
      resent: this._stream.resent,
      adoptedSpools: this._adoption?.spools ?? 0,
      adoptedEntries: this._adoption?.entries ?? 0,
    };
  }

  /** Whether the last call failed. */
  get isBlocked() {
    return this._stream.isBlocked;
  }

  get _waiting() {
    const settled = this._stored + this._rejected.total + this._dropped.total;
    return this._logged - settled;
  }

  /**
   * Takes an entry. Never throws, and returns at once.
   * @param {any} entry as log of the gateway has it
   * @returns {Promise<Outcome>} never rejected
   */
  log(entry) {
    return receiptOf(this._log(entry));
  }

  /** @param {import('./receive.js').Posted} item as log; nobody asks for its outcome */
  post(item) {
    this._logged++;
    item.stamp = this._settings.now();
    if (this._isClosed) this._drop(posted(item), CLOSED);
    else this._buffer.hold(item, this._stream.heldBytes);
    this._wake();
  }

  /**
   * Takes many entries, and waits when they come faster than they are stored.
   * @param {Iterable<any>} entries
   * @param {boolean} [compress] send them as gzip: on one machine that costs more than it saves
   * @returns {Promise<{accepted: number, rejected: Array<{index: number, error: string}>, dropped: number}>} once all are stored or given up
   */
  async logBatch(entries, compress = false) {
    const logged = [];
    for (const given of entriesOf(entries)) {
      if (logged.length % SLICE === SLICE - 1) await this._room();
      const entry = this._log(given);
      entry.isCompressed = compress;
      logged.push(entry);
    }
    return outcomesOf(logged);
  }

  /**
   * Waits until all that was logged before is stored or given up.
   * @param {number} [timeoutMs]
   * @returns {Promise<boolean>} whether it was, in time
   */
  async flush(timeoutMs = 5_000) {
    if (this._waiting === 0) return true;
    const last = this._nextNumber + this._buffer.count - 1;
    /** @type {Flush} */
    const flush = { last, resolve: () => {} };
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    const isFlushed = await new Promise((resolve) => {
      flush.resolve = resolve;
      timer = setTimeout(resolve, timeoutMs, false);
      this._flushes.add(flush);
      this._number();
    });
    clearTimeout(timer);
    this._flushes.delete(flush);
    return isFlushed;
  }

  /**
   * Takes no more, and flushes; what can't be stored in time lies in the spool then.
   * @param {number} [timeoutMs]
   * @returns {Promise<boolean>} whether all was stored
   */
  async close(timeoutMs = 5_000) {
    if (this._isClosed) return this._waiting === 0;
    this._isClosed = true;
    const isFlushed = await this._lastTry(timeoutMs);
    if (!isFlushed) this.spill();
    this._stream.close();
    // before it is told that there is no outcome: then nothing seems to wait
    const closing = this._overflow.close();
    this._giveUp();
    await Promise.all([this._adoption?.close(), closing]);
    return isFlushed;
  }

  /** Tells those who wait for an outcome that there will be none here. */
  _giveUp() {
    for (const entry of this._buffer.take(Infinity, Infinity)) {
      this._drop(entry, CLOSED);
    }
    for (const batch of this._stream.batches) {
      if (batch.isSettled) continue;
      batch.lose(batch.place === null ? CLOSED : SPOOLED);
      if (batch.place === null) this._dropped.add(CLOSED, batch.count);
    }
  }

  /**
   * As flush; with a spool, no longer than until the gateway is found to be away.
   * @param {number} timeoutMs
   */
  async _lastTry(timeoutMs) {
    const flushed = this.flush(timeoutMs);
    let failures = 0;
    const giveUp = () => {
      if (++failures < TRIES) return;
      for (const flush of this._flushes) flush.resolve(false);
    };
    if (this._overflow.spool !== null) this.on('blocked', giveUp);
    this.hurry();
    return flushed.finally(() => this.off('blocked', giveUp));
  }

  /**
   * Writes all that is not stored to the spool, at once.
   *
   * At the end of the host, where nothing asynchronous runs any more, it is also sent
   * from there if the gateway was there a moment ago.
   * @param {boolean} [isEnd]
   */
  spill(isEnd = false) {
    while (this._overflow.spool !== null && this._buffer.count > 0) {
      this._take();
    }
    this._overflow.writeSync();
    if (isEnd && isMainThread) this._farewell();
  }

  /** Tries again at once: the gateway is there, somebody says. */
  hurry() {
    this._stream.hurry();
  }

  _farewell() {
    const { spool } = this._overflow;
    if (spool === null || spool.isEmpty || !spool.isOwned) return;
    const isStored = this._waiting === 0;
    if (isStored || (!this.isBlocked && this._deliverSync(spool))) {
      spool.removeSync();
    }
  }

  /** @param {import('./spool/spool.js').Spool} spool */
  _deliverSync({ folder, producer }) {
    const { client, farewellMs: timeoutMs } = this._settings;
    const { endpoint, headers = {} } = client;
    return deliverSync({ endpoint, headers, folder, producer, timeoutMs });
  }

  /** @param {any} given */
  _log(given) {
    this._logged++;
    return this._accept(receive(given, this._settings.now(), this._masking));
  }

  /** @param {Entry} entry */
  _accept(entry) {
    if (entry.reason !== null) this._drop(entry, entry.reason);
    else if (this._isClosed) this._drop(entry, CLOSED);
    else if (this._buffer.push(entry, this._stream.heldBytes)) this._wake();
    else this._dropFull(entry);
    return entry;
  }

  /** Until there is room for more, or waiting would not make any. */
  async _room() {
    do {
      await new Promise((resolve) => setImmediate(resolve));
    } while (
      this._buffer.bytes + this._stream.heldBytes >
        this._settings.memoryBytes / 4 &&
      !this.isBlocked
    );
  }

  /** Whether a batch may go now. One that is not full waits for those under way: few calls carry much. */
  get _maySend() {
    const { hasRoom, isIdle } = this._stream;
    return this._buffer.count > 0 && hasRoom && (isIdle || this._isFull);
  }

  /** Whether what waits makes a batch. */
  get _isFull() {
    const { batchEntries, batchBytes } = this._settings;
    const { count, bytes } = this._buffer;
    return count >= batchEntries || bytes >= batchBytes;
  }

  _wake() {
    if (this._isFull) this._linger.soon();
    else this._linger.start(this.isBlocked);
  }

  /** Gives numbers to what can be sent, or written, now. */
  _number() {
    while (this._maySend) this._take();
    const isMuch = () =>
      this._buffer.bytes + this._stream.heldBytes >
      this._settings.memoryBytes * MUCH;
    if (!this.isBlocked && !isMuch()) return;
    while (
      this._buffer.count > 0 &&
      this._overflow.canTake &&
      (this.isBlocked || isMuch())
    ) {
      this._take();
    }
    void this._overflow.write().then(() => {
      if (this._buffer.count > 0 && this._overflow.canTake) this._wake();
    });
  }

  /** Makes a batch of the oldest entries. */
  _take() {
    const { batchEntries, batchBytes } = this._settings;
    const entries = this._buffer.take(batchEntries, batchBytes);
    if (entries.length === 0) return;
    const body = Buffer.from(entries.map(({ text }) => text).join(','));
    const batch = new Batch(this._nextNumber, entries.length, body);
    batch.isCompressed = entries.some(({ isCompressed }) => isCompressed);
    batch.needsIds = !entries.every(({ isPosted }) => isPosted);
    this._nextNumber += entries.length;
    entries.forEach((entry, place) => entry.join(batch, place));
    this._overflow.add(batch);
    this._stream.add(batch);
  }

  /** @param {Entry} entry */
  _dropFull(entry) {
    this._drop(entry, FULL);
    if (this._isFullTold) return;
    this._isFullTold = true;
    // a listener that fails must not fail log()
    setImmediate(() =>
      this.emit('warning', new Error(`${FULL}: entries are dropped`)),
    );
  }

  /**
   * @param {Entry} entry
   * @param {string} reason
   */
  _drop(entry, reason) {
    this._dropped.add(reason);
    this._stream.droppedTotal++;
    entry.drop(reason);
  }

  /**
   * @param {Batch} batch
   * @param {{accepted: number, rejected: Array<{index: number, error: string}>} | null} reply
   * @param {string} reason
   */
  _settle(batch, reply, reason) {
    if (reply === null) this._dropped.add(reason, batch.count);
    else {
      this._stored += reply.accepted;
      for (const { error } of reply.rejected) this._rejected.add(error);
    }
    this._endFlushes();
    if (this._buffer.count === 0) this._isFullTold = false;
    const isDue = !this._linger.isRunning || this._flushes.size > 0;
    if (this._buffer.count > 0 && (isDue || this._isFull)) this._linger.soon();
  }

  _endFlushes() {
    if (this._flushes.size === 0) return;
    const lowest = this._stream.batches.find(({ isSettled }) => !isSettled);
    const settled = lowest ? lowest.sequence - 1 : this._nextNumber - 1;
    for (const flush of this._flushes) {
      if (settled >= flush.last || this._waiting === 0) flush.resolve(true);
    }
  }
}

module.exports = { Sender };
