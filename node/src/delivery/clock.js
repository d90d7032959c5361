'use strict';

/**
 * Nanoseconds since 1970, as text: a number can't hold them.
 *
 * Date.now() has milliseconds only, so that entries of one millisecond would lose their
 * order. The monotonic clock gives the rest, and follows when the system's time is set.
 *
 * @module
 */

/** Between two looks at the system's time, in seconds. */
const CHECK_SECONDS = 1;
/** Milliseconds by which the two may differ. */
const DRIFT_MS = 5;

/** Gives the time as decimal digits. */
class NanosecondClock {
  /**
   * @param {() => number} [now] milliseconds since 1970
   * @param {() => [number, number]} [monotonic] seconds and nanoseconds
   */
  constructor(now = Date.now, monotonic = () => process.hrtime()) {
    this._now = now;
    this._monotonic = monotonic;
    this._checkAt = -Infinity;
    this._seconds = 0;
    this._nanoseconds = 0;
    this._isSet = false;
  }

  /** @returns {string} */
  text() {
    const [seconds, nanoseconds] = this._monotonic();
    if (seconds >= this._checkAt) this._check(seconds, nanoseconds);
    let whole = seconds + this._seconds;
    let rest = nanoseconds + this._nanoseconds;
    if (rest >= 1e9) {
      whole += 1;
      rest -= 1e9;
    }
    // a digit in front instead of padding, which is slower
    return whole + String(1e9 + rest).slice(1);
  }

  /**
   * @param {number} seconds
   * @param {number} nanoseconds
   */
  _check(seconds, nanoseconds) {
    this._checkAt = seconds + CHECK_SECONDS;
    const now = this._now();
    const own =
      (seconds + this._seconds) * 1e3 + (nanoseconds + this._nanoseconds) / 1e6;
    if (this._isSet && Math.abs(now - own) < DRIFT_MS) return;
    this._isSet = true;
    const rest = (now % 1e3) * 1e6 - nanoseconds;
    this._seconds = Math.floor(now / 1e3) - seconds - (rest < 0 ? 1 : 0);
    this._nanoseconds = rest < 0 ? rest + 1e9 : rest;
  }
}

module.exports = { NanosecondClock };
