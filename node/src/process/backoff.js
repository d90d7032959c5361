'use strict';

const FIRST_MS = 100;
const LONGEST_MS = 10_000;
const HEALTHY_MS = 30_000;

/** When a pipeline that ended is started again; the pipeline does the same with its processes. */
class Backoff {
  constructor() {
    this.failures = 0;
  }

  /**
   * Milliseconds to wait after it lived for `livedMs`; a long life makes it a first failure.
   * @param {number} livedMs
   */
  failed(livedMs) {
    if (livedMs >= HEALTHY_MS) this.failures = 0;
    this.failures += 1;
    return Math.min(
      LONGEST_MS,
      FIRST_MS * 2 ** Math.min(this.failures - 1, 16),
    );
  }
}

module.exports = { Backoff };
