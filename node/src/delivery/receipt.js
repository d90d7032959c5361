'use strict';

/**
 * What became of an entry: 'received' with its id once it is on disk, or 'dropped' and why.
 * @typedef {{status: 'received', id: string} | {status: 'dropped', reason: string}} Outcome
 */

const nothing = () => {};

/**
 * An entry on its way.
 *
 * Most callers never ask for its outcome. So nothing refers to it once it is part of a
 * batch, unless somebody has asked; one who asks later finds it with the batch.
 */
class Entry {
  /**
   * @param {string} text the entry as JSON, '' for one that never was
   * @param {number} rank of its level
   */
  constructor(text, rank) {
    this.text = text;
    this.rank = rank;
    /** @type {import('./batch.js').Batch | null} */
    this.batch = null;
    /** Its place in the batch. */
    this.place = 0;
    /** @type {string | null} why it was dropped before it had a number */
    this.reason = null;
    this.isWrong = false;
    /** Whether nobody can ask for its outcome. */
    this.isPosted = false;
    /** Whether its batch is sent compressed. */
    this.isCompressed = false;
    /** @type {Promise<Outcome> | null} */
    this._asked = null;
    /** @type {(outcome: Outcome) => void} */
    this._resolve = nothing;
  }

  /** Whether somebody waits for the outcome. */
  get isAwaited() {
    return this._asked !== null;
  }

  /** Whether it was wrong, as it or the gateway said, and not merely given up. */
  get isRejected() {
    return this.isWrong || (this.batch?.isRejected(this.place) ?? false);
  }

  /**
   * It became part of a batch.
   * @param {import('./batch.js').Batch} batch
   * @param {number} place
   */
  join(batch, place) {
    this.text = '';
    this.batch = batch;
    this.place = place;
    if (this._asked !== null) batch.waiting.push(this);
  }

  /**
   * It never will.
   * @param {string} reason
   */
  drop(reason) {
    this.text = '';
    this.reason = reason;
    this.settle();
  }

  /** Tells whoever asked. */
  settle() {
    const outcome = this._asked && this._maybeOutcome();
    if (outcome) this._resolve(outcome);
  }

  /** @returns {Promise<Outcome>} */
  ask() {
    if (this._asked !== null) return this._asked;
    const known = this._maybeOutcome();
    if (known !== null) return (this._asked = Promise.resolve(known));
    this._asked = new Promise((resolve) => {
      this._resolve = resolve;
    });
    this.batch?.waiting.push(this);
    return this._asked;
  }

  /** @returns {Outcome | null} */
  _maybeOutcome() {
    if (this.reason !== null) {
      return { status: 'dropped', reason: this.reason };
    }
    return this.batch ? this.batch.maybeOutcome(this.place) : null;
  }
}

/**
 * What log() returns: a promise in all but its slots, which cost more than all else that
 * log() does besides JSON. `await`, `instanceof`, catch and finally work as with any other.
 */
class Receipt {
  /** @param {Entry} entry */
  constructor(entry) {
    this.entry = entry;
  }

  /**
   * @template [A=Outcome]
   * @template [B=never]
   * @param {((outcome: Outcome) => A | PromiseLike<A>) | null} [onFulfilled]
   * @param {((reason: any) => B | PromiseLike<B>) | null} [onRejected]
   * @returns {Promise<A | B>}
   */
  then(onFulfilled, onRejected) {
    return this.entry.ask().then(onFulfilled, onRejected);
  }
}

Object.setPrototypeOf(Receipt.prototype, Promise.prototype);

/**
 * The promise of an entry's outcome; never rejected.
 * @param {Entry} entry
 * @returns {Promise<Outcome>}
 */
function receiptOf(entry) {
  return /** @type {any} */ (new Receipt(entry));
}

/**
 * What became of many entries.
 * @param {Entry[]} entries
 */
async function outcomesOf(entries) {
  /** @type {Array<{index: number, error: string}>} */
  const rejected = [];
  const counts = { accepted: 0, dropped: 0 };
  for (const [index, entry] of entries.entries()) {
    const outcome = await entry.ask();
    if (outcome.status === 'received') counts.accepted++;
    else if (!entry.isRejected) counts.dropped++;
    else rejected.push({ index, error: outcome.reason });
  }
  return { ...counts, rejected };
}

module.exports = { Entry, Receipt, outcomesOf, receiptOf };
