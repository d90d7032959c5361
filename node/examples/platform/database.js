'use strict';

const { setTimeout: sleep } = require('node:timers/promises');

/**
 * A database as a client of `pg` shows it, in memory: the platform needs no server of its
 * own. `slow` has milliseconds by table, `isFull` refuses connections as a full pool does.
 */
class Database {
  /** @type {Record<string, number>} */
  slow = {};
  isFull = false;
  totalCount = 1;
  _client = { query: (/** @type {string} */ text) => this._run(text) };

  async connect() {
    if (this.isFull) {
      throw new Error('timeout exceeded when trying to connect');
    }
    return this._client;
  }

  /**
   * @param {string} text
   * @param {unknown[]} [values]
   */
  async query(text, values) {
    const client = /** @type {any} */ (await this.connect());
    return client.query(text, values);
  }

  /** @param {string} text */
  async _run(text) {
    const table = /from (\w+)/i.exec(text)?.[1] ?? '';
    await sleep(this.slow[table] ?? 0);
    return { rows: [{ id: 1, total: 42 }], rowCount: 1 };
  }
}

module.exports = { Database };
