'use strict';

/** While batches go to the disk only: fewer of them, and this much is lost by kill -9. */
const BLOCKED_MS = 100;
/** In the time that an entry waits for its batch: a call for so few is dear. */
const BUSY_ENTRIES = 10;
/** So much longer when entries come fast. */
const BUSY_FACTOR = 4;

/** Decides when entries that wait become a batch. */
class Linger {
  /**
   * @param {number} ms
   * @param {import('./buffer.js').EntryBuffer} buffer
   * @param {() => void} due
   */
  constructor(ms, buffer, due) {
    this._ms = ms;
    this._buffer = buffer;
    this._due = due;
    this._isSoon = false;
    /** @type {NodeJS.Timeout | null} */
    this._timer = null;
  }

  /** Whether entries may wait for others still. */
  get isRunning() {
    return this._timer !== null;
  }

  /** As soon as this turn of the host has ended. */
  soon() {
    if (this._isSoon) return;
    this._isSoon = true;
    setImmediate(() => {
      this._isSoon = false;
      this._due();
    });
  }

  /**
   * After a while: longer when entries come fast and nobody waits for one.
   * @param {boolean} isBlocked whether the gateway is away
   */
  start(isBlocked) {
    if (this._isSoon || this._timer !== null) return;
    const end = () => {
      this._timer = null;
      this._due();
    };
    if (isBlocked) {
      // who awaits log() must not end before; while the gateway is away it may
      this._timer = setTimeout(end, BLOCKED_MS).unref();
      return;
    }
    this._timer = setTimeout(() => {
      const { count, isAwaited } = this._buffer;
      if (count < BUSY_ENTRIES || isAwaited) end();
      else this._timer = setTimeout(end, BUSY_FACTOR * this._ms);
    }, this._ms);
  }
}

module.exports = { Linger };
