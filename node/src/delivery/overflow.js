'use strict';

const { Spool } = require('./spool/spool.js');

/** Written at a time. */
const WRITE_BYTES = 1 << 20;
/** Batches that may wait for the disk. */
const UNWRITTEN_BYTES = 4 << 20;
/** After an error of the disk. */
const RETRY_MS = 5_000;
/** Between two looks at what is stored. */
const RELEASE_MS = 500;

/** @typedef {import('./batch.js').Batch} Batch */

/** Keeps a stream's batches on disk while the gateway can't take them. */
class Overflow {
  /**
   * @param {import('./stream.js').Stream} stream
   * @param {string | null} folder null when nothing is to be written
   * @param {{bytes?: number, segmentBytes?: number, isSynced?: boolean}} limits
   * @param {(error: Error) => void} warn
   */
  constructor(stream, folder, limits, warn) {
    this.spool =
      folder === null ? null : new Spool(folder, stream.producer, limits);
    /** Entries written so far. */
    this.entries = 0;
    this._stream = stream;
    this._warn = warn;
    /** @type {Batch[]} that are not on disk, in the order of their numbers */
    this._unwritten = [];
    this._unwrittenBytes = 0;
    this._isWriting = false;
    this._brokenUntil = 0;
    this._isBroken = false;
    this._isClosed = false;
    /** @type {NodeJS.Timeout | null} */
    this._timer = null;
    stream.on('settled', () => this._settled());
  }

  /** Whether one more batch may be numbered, to be written. */
  get canTake() {
    if (this.spool === null || Date.now() < this._brokenUntil) return false;
    const isBusy = this._unwrittenBytes >= UNWRITTEN_BYTES;
    return !isBusy && this.spool.hasRoom(this._unwrittenBytes + WRITE_BYTES);
  }

  /**
   * Where a batch lies.
   * @param {Batch} batch
   */
  async read(batch) {
    return this.spool === null ? null : this.spool.read(batch);
  }

  /** @param {Batch} batch that was numbered */
  add(batch) {
    this._unwritten.push(batch);
    this._unwrittenBytes += batch.bytes;
  }

  /** Writes what is not on disk. Never fails; whether all of it was written. */
  async write() {
    const { spool } = this;
    if (spool === null || this._isWriting) return;
    if (Date.now() < this._brokenUntil) return;
    this._isWriting = true;
    try {
      for (let batches = this._next(); batches.length > 0;) {
        spool.dropped = this._stream.droppedTotal;
        await spool.append(batches);
        this._written(batches);
        batches = this._next();
      }
      this._isBroken = false;
    } catch (error) {
      this._fail(error);
    } finally {
      this._isWriting = false;
    }
    this._releaseSoon();
  }

  /** Writes at once what is not on disk: the host may be about to end. */
  writeSync() {
    this._forgetSettled();
    if (this.spool === null || this._unwritten.length === 0) return;
    const batches = this._unwritten;
    try {
      this.spool.dropped = this._stream.droppedTotal;
      this.spool.appendSync(batches);
      this._written([...batches]);
    } catch (error) {
      this._fail(error);
    }
  }

  /** Lets go of it; whoever comes next finds what is left. */
  async close() {
    this._isClosed = true;
    if (this._timer !== null) clearTimeout(this._timer);
    await this._release();
    await this.spool?.leave();
  }

  _next() {
    this._forgetSettled();
    const found = [];
    let bytes = 0;
    for (const batch of this._unwritten) {
      bytes += batch.bytes;
      if (found.length > 0 && bytes > WRITE_BYTES) break;
      found.push(batch);
    }
    return found;
  }

  /** @param {Batch[]} batches */
  _written(batches) {
    const done = new Set(batches);
    for (const batch of batches) {
      this._unwrittenBytes -= batch.bytes;
      this.entries += batch.count;
      // its call has the bytes anyway
      if (!batch.isUnderWay) this._stream.release(batch);
    }
    this._unwritten = this._unwritten.filter((batch) => !done.has(batch));
  }

  _forgetSettled() {
    let settled = 0;
    while (this._unwritten[settled]?.isSettled) {
      this._unwrittenBytes -= this._unwritten[settled++].bytes;
    }
    if (settled > 0) this._unwritten.splice(0, settled);
  }

  _settled() {
    if (!this._isWriting) this._forgetSettled();
    if (this.spool !== null && !this.spool.isEmpty) this._releaseSoon();
  }

  _releaseSoon() {
    if (this._timer !== null || this._isClosed) return;
    if (this.spool === null || this.spool.isEmpty) return;
    this._timer = setTimeout(() => {
      this._timer = null;
      void this._release();
    }, RELEASE_MS);
    this._timer.unref();
  }

  async _release() {
    const lowest = this._stream.batches.find((batch) => !batch.isSettled);
    const stored = lowest ? lowest.sequence - 1 : Infinity;
    try {
      await this.spool?.release(stored);
    } catch (error) {
      this._fail(error);
    }
  }

  /** @param {any} error */
  _fail(error) {
    this._brokenUntil = Date.now() + RETRY_MS;
    if (this._isBroken) return;
    this._isBroken = true;
    const folder = this.spool?.folder;
    this._warn(
      new Error(`spool ${folder}: ${error.message}`, { cause: error }),
    );
  }
}

module.exports = { Overflow };
