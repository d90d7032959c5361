'use strict';

/** Different reasons that are counted by name. */
const REASONS = 50;

/** Counts entries by why they are not stored. */
class Reasons {
  constructor() {
    /** @type {Map<string, number>} */
    this._counts = new Map();
    this.total = 0;
  }

  /**
   * @param {string} reason
   * @param {number} [count]
   */
  add(reason, count = 1) {
    // without values and what would be right, so that there are few of them
    const [told] = reason.replace(/'.*'/s, "'...'").split(';');
    let name = told.replace(/\d[\d,]*/g, 'N').slice(0, 100);
    if (!this._counts.has(name) && this._counts.size >= REASONS) name = 'other';
    this._counts.set(name, (this._counts.get(name) ?? 0) + count);
    this.total += count;
  }

  toObject() {
    return Object.fromEntries(this._counts);
  }
}

module.exports = { Reasons };
