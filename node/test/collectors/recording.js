'use strict';

/** A log system that keeps what it is given. */
class Recording {
  /**
   * @param {Record<string, any>} [collectors] sections of the configuration
   */
  constructor(collectors = {}) {
    this.config = { collectors };
    /** @type {any[]} */
    this.entries = [];
  }

  /** @param {any} entry */
  log(entry) {
    this.entries.push(entry);
    return Promise.resolve({ status: 'received', id: 'x' });
  }

  get last() {
    return this.entries.at(-1);
  }
}

/** A log system that fails in every way that one can. */
class Failing {
  constructor(collectors = {}) {
    this.config = { collectors };
    this.calls = 0;
  }

  log() {
    this.calls += 1;
    if (this.calls % 2) throw new Error('the log system is broken');
    return Promise.reject(new Error('the log system refuses'));
  }
}

module.exports = { Failing, Recording };
