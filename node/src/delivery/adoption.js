'use strict';

const { abandoned } = require('./spool/owner.js');
const { Spool } = require('./spool/spool.js');
const { Stream } = require('./stream.js');

const SEARCH_MS = 60_000;
const ASK_MS = 100;
const ASK_MAX_MS = 5_000;
/** A host with nothing else to do waits for the answer. */
const ANSWER_MS = 2_000;

/**
 * Sends what lies in a spool, and deletes it.
 * @param {Spool} spool
 * @param {import('./stream.js').Caller} client
 * @param {{durable?: number, signal: AbortSignal, isPatient: boolean}} options numbers up to `durable` are stored
 * @returns {Promise<{entries: number, damaged: number}>} once all of it is stored or given up
 */
async function deliver(spool, client, { durable = 0, signal, isPatient }) {
  const { batches, damaged } = await spool.load();
  const stream = new Stream({
    client,
    producer: spool.producer,
    read: (batch) => spool.read(batch),
    isPatient,
    calls: isPatient ? 1 : undefined,
  });
  stream.droppedTotal = spool.dropped;
  const waiting = batches.filter(({ last }) => last > durable);
  let entries = 0;
  stream.on('settled', (batch) => {
    entries += batch.count;
    const next = stream.batches.find(({ isSettled }) => !isSettled);
    // in the background; what remains when that fails is sent again for nothing
    if (next) void spool.release(next.sequence - 1).catch(() => {});
  });
  if (waiting.length > 0) {
    await new Promise((resolve, reject) => {
      stream.on('idle', resolve);
      const abort = () => {
        stream.close();
        reject(signal.reason);
      };
      if (signal.aborted) abort();
      signal.addEventListener('abort', abort);
      for (const batch of waiting) stream.add(batch);
    });
  }
  await spool.remove();
  return { entries, damaged };
}

/** Sends the spools of processes that are gone, one after another. */
class Adoption {
  /**
   * @param {string} folder
   * @param {import('./stream.js').Caller} client
   * @param {(error: Error) => void} warn
   */
  constructor(folder, client, warn) {
    this.spools = 0;
    this.entries = 0;
    this._folder = folder;
    this._client = client;
    this._warn = warn;
    this._abort = new AbortController();
    /** @type {NodeJS.Timeout | null} */
    this._timer = null;
    /** @type {() => void} */
    this._wake = () => {};
    /** @type {Set<string>} told of once */
    this._told = new Set();
    /** @type {Promise<void>} */
    this._work = Promise.resolve();
  }

  /** Looks for such spools now, and every minute. */
  start() {
    this._later(0);
  }

  /** Lets go of the present one. */
  async close() {
    this._abort.abort(new Error('the sender is closed'));
    if (this._timer !== null) clearTimeout(this._timer);
    this._wake();
    await this._work;
  }

  /** @param {number} ms */
  _later(ms) {
    this._timer = setTimeout(() => {
      this._work = this._search();
    }, ms);
    this._timer.unref();
  }

  async _search() {
    for (const { producer, owner } of abandoned(this._folder, Date.now())) {
      if (this._abort.signal.aborted) return;
      await this._adopt(producer, owner).catch((error) =>
        this._tell(producer, error),
      );
    }
    if (!this._abort.signal.aborted) this._later(SEARCH_MS);
  }

  /**
   * @param {string} producer
   * @param {string} owner
   */
  async _adopt(producer, owner) {
    const durable = await this._ask(producer);
    const spool = new Spool(this._folder, producer);
    if (!spool.claim(owner)) return;
    const { signal } = this._abort;
    try {
      const options = { durable, signal, isPatient: true };
      const { entries, damaged } = await deliver(spool, this._client, options);
      this.spools++;
      this.entries += entries;
      if (damaged > 0) {
        this._tell(producer, new Error(`${damaged} places can't be read`));
      }
    } finally {
      await spool.leave();
    }
  }

  /**
   * How far its numbers are stored; asks until there is an answer.
   * @param {string} producer
   * @returns {Promise<number>}
   */
  async _ask(producer) {
    const { signal } = this._abort;
    const params = `{"producer":"${producer}","sequence":1,"logs":[]}`;
    for (let wait = ASK_MS; ; wait = Math.min(2 * wait, ASK_MAX_MS)) {
      signal.throwIfAborted();
      try {
        const options = { signal, timeoutMs: ANSWER_MS };
        const reply = await this._client.callText(
          'log_batch',
          [params],
          options,
        );
        return reply.durable;
      } catch (error) {
        await new Promise((resolve) => {
          this._wake = () => resolve(undefined);
          setTimeout(resolve, wait * (0.5 + Math.random() / 2)).unref();
        });
      }
    }
  }

  /**
   * @param {string} producer
   * @param {any} error
   */
  _tell(producer, error) {
    const text = `spool ${this._folder}/${producer}: ${error.message}`;
    if (this._abort.signal.aborted || this._told.has(text)) return;
    this._told.add(text);
    this._warn(new Error(text, { cause: error }));
  }
}

module.exports = { Adoption, deliver };
