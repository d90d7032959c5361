'use strict';

/**
 * Work that has begun and not ended: bounded, and what never ends is told.
 *
 * @module
 */

/**
 * @template T
 * @typedef {object} Begun
 * @property {T} value
 * @property {number} since in the caller's milliseconds
 */

/**
 * Begun work by its id, the oldest first. No clock: the time is an argument.
 * @template T
 */
class Pending {
  /**
   * @param {{limit: number, timeoutMs: number}} bounds
   */
  constructor({ limit, timeoutMs }) {
    this.limit = limit;
    this.timeoutMs = timeoutMs;
    /** @type {Map<unknown, Begun<T>>} */
    this._begun = new Map();
  }

  get size() {
    return this._begun.size;
  }

  /**
   * Note that work has begun.
   * @param {unknown} id
   * @param {T} value
   * @param {number} now
   * @returns {Array<Begun<T>>} what has to go for it: the same id, or the oldest when all is full
   */
  begin(id, value, now) {
    const gone = [];
    const before = this.end(id);
    if (before !== undefined) gone.push(before);
    if (this._begun.size >= this.limit) {
      const [oldest] = this._begun.keys();
      gone.push(/** @type {Begun<T>} */ (this.end(oldest)));
    }
    this._begun.set(id, { value, since: now });
    return gone;
  }

  /**
   * @param {unknown} id
   * @returns {Begun<T> | undefined} what had begun under this id
   */
  end(id) {
    const found = this._begun.get(id);
    this._begun.delete(id);
    return found;
  }

  /**
   * @param {number} now
   * @returns {Array<Begun<T>>} what has been waited for too long; it is forgotten
   */
  expire(now) {
    const gone = [];
    for (const [id, begun] of this._begun) {
      if (now - begun.since < this.timeoutMs) break;
      this._begun.delete(id);
      gone.push(begun);
    }
    return gone;
  }

  /** @returns {Array<Begun<T>>} all that has not ended; it is forgotten */
  clear() {
    const gone = [...this._begun.values()];
    this._begun.clear();
    return gone;
  }
}

module.exports = { Pending };
