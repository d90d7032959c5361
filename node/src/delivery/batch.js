'use strict';

/** Entries that have their numbers: they are sent, and sent again, unchanged. */
class Batch {
  /**
   * @param {number} sequence number of its first entry
   * @param {number} count
   * @param {Buffer | null} body its entries as JSON with commas between; null when they lie in the spool
   */
  constructor(sequence, count, body) {
    this.sequence = sequence;
    this.count = count;
    this.body = body;
    this.bytes = body ? body.length : 0;
    /** @type {import('./spool/spool.js').Place | null} where it lies in the spool */
    this.place = null;
    this.isUnderWay = false;
    /** Whether somebody may ask for an id. */
    this.needsIds = true;
    /** Whether it is sent compressed; in the spool it is plain. */
    this.isCompressed = false;
    this.isSettled = false;
    this.attempts = 0;
    this.refusals = 0;
    /** @type {import('./receipt.js').Entry[]} those whose outcome somebody waits for */
    this.waiting = [];
    /** @type {Array<string | null>} */
    this._ids = [];
    /** @type {Map<number, string>} reasons by place */
    this._rejected = new Map();
    this._lost = '';
  }

  /** Its last entry's number. */
  get last() {
    return this.sequence + this.count - 1;
  }

  /**
   * The gateway has answered.
   * @param {{ids?: Array<string | null>, rejected: Array<{index: number, error: string}>}} reply
   */
  store({ ids, rejected }) {
    this._ids = ids ?? [];
    for (const { index, error } of rejected) this._rejected.set(index, error);
    this._settle();
  }

  /**
   * It was given up.
   * @param {string} reason
   */
  lose(reason) {
    this._lost = reason;
    this._settle();
  }

  /**
   * @param {number} place
   * @returns {import('./receipt.js').Outcome | null} null until it is known
   */
  maybeOutcome(place) {
    if (!this.isSettled) return null;
    const reason = this._lost || this._rejected.get(place);
    if (reason) return { status: 'dropped', reason };
    return { status: 'received', id: this._ids[place] ?? '' };
  }

  /** @param {number} place */
  isRejected(place) {
    return this._rejected.has(place);
  }

  _settle() {
    this.isSettled = true;
    for (const entry of this.waiting) entry.settle();
    this.waiting = [];
  }
}

module.exports = { Batch };
