'use strict';

const { EventEmitter } = require('node:events');

const { resolve } = require('./config/bridge-options.js');
const { Sender } = require('./delivery/sender.js');
const { settingsOf } = require('./delivery/settings.js');
const { NotReadyError, StoppedError } = require('./errors.js');
const { Backoff } = require('./process/backoff.js');
const { addExitHooks, removeExitHooks } = require('./process/exit-hooks.js');
const { ended, launch } = require('./process/launcher.js');
const { probe } = require('./process/probe.js');
const { JSONRPCClient } = require('./utils/json-rpc-client.js');

/** Looks in a row without an answer after which the pipeline is away. */
const MISSES = 2;

/** How long stop() tries to send while the pipeline is away; then the spool has it. */
const AWAY_MS = 500;

/**
 * @typedef {import('./collectors/collector.js').Entry} Entry
 * @typedef {{status: 'received', id: string} | {status: 'dropped', reason: string}} Receipt
 * @typedef {{accepted: number, rejected: any[], dropped: number}} BatchReceipt
 */

/**
 * The log pipeline as this process sees it: starts it where none runs, sends entries,
 * asks questions, starts it again when it dies.
 *
 * Logging works before `start()`, and while the pipeline is away: entries wait in a bounded
 * buffer, then in a file. Emits `ready`, `down` (why), `restart` (how many failures so far),
 * `line` (of the pipeline's output), `stopping`, `stop` and `warning` (an Error); none has to be listened to.
 */
class LogSystemBridge extends EventEmitter {
  #isReady = false;
  /** @type {Promise<this> | null} */
  #starting = null;
  /** @type {Promise<void> | null} */
  #stopping = null;
  #abort = new AbortController();
  /** @type {import('./process/pipeline-process.js').PipelineProcess | null} */
  #child = null;
  /** @type {NodeJS.Timeout | null} */
  #timer = null;
  #backoff = new Backoff();
  /** @type {{error: unknown, until: number} | null} */
  #failure = null;
  #misses = 0;
  #since = 0;
  #lostAt = 0;
  #wasOurs = false;
  #variables;
  #url;
  /** @type {Sender | null} */
  #sender = null;

  /**
   * @param {import('./config/bridge-options.js').Options & Record<string, any>} [config] the
   *   short form {host, port, pythonPath, autoStart, configPath}, the tree of loadConfig, or both
   */
  constructor(config) {
    super();
    const resolved = resolve(config);
    /** The configuration as a whole, options of the bridge among it. */
    this.config = resolved.config;
    this.#url = resolved.url;
    this.#variables = resolved.variables;
    /** Calls any method of the gateway. */
    const { token } = this.config;
    const shown = token && { headers: { authorization: `Bearer ${token}` } };
    this.client = new JSONRPCClient(this.#url, shown || {});
    settingsOf(this.#senderOptions); // log() must never throw
  }

  /** Whether questions can be asked now. */
  get isReady() {
    return this.#isReady;
  }

  /** Process id of the pipeline, if this process started it. */
  get pid() {
    return this.#child?.pid ?? null;
  }

  /** What has become of each entry: see `counters` of it. */
  get sender() {
    if (this.#sender === null) {
      this.#sender = new Sender(this.#senderOptions);
      this.#sender.on('warning', (/** @type {Error} */ warning) => {
        this.emit('warning', warning);
      });
      if (this.config.exitHooks) addExitHooks(this.#hooks);
    }
    return this.#sender;
  }

  get #senderOptions() {
    const { redaction, sender } = this.config;
    return { client: this.client, redaction, ...sender };
  }

  #hooks = {
    stop: () => this.stop(),
    spill: (/** @type {boolean} */ isEnd = false) => this.#sender?.spill(isEnd),
  };

  /**
   * See to it that the pipeline answers; called again it is the same start.
   * Rejects with what to do about it; entries are kept all the same, and it goes on looking.
   * Soon after a failure it rejects with the same: callers may come by the thousand.
   * @returns {Promise<this>}
   */
  start() {
    const failure = this.#failure;
    if (failure && !this.#isReady && Date.now() < failure.until)
      return Promise.reject(failure.error);
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async #start() {
    await this.#stopping;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    void this.sender; // what is left in the spool is sent although nobody logs
    try {
      await this.#launch(signal);
    } catch (error) {
      if (!signal.aborted) {
        const until = Date.now() + this.#backoff.failed(0);
        this.#failure = { error, until };
        this.#starting = null;
        this.#watch();
      }
      throw error;
    }
    this.#watch();
    return this;
  }

  /** @param {AbortSignal} signal */
  async #launch(signal) {
    /** @param {string} line */
    const onLine = (line) => this.emit('line', line);
    const gateway = { PIPELINE_SERVER__AUTO_START: 'true' };
    const { env: given = process.env } = this.config;
    const env = { ...this.#variables, ...given, ...gateway };
    const options = { ...this.config, env, url: this.#url, onLine };
    const child = await launch(options, signal);
    this.#wasOurs = child !== null;
    if (child !== null) this.#adopt(child);
    if (signal.aborted) throw new StoppedError();
    this.#up();
  }

  /** @param {import('./process/pipeline-process.js').PipelineProcess} child */
  #adopt(child) {
    if (child.ending !== null) throw ended(child);
    this.#child = child;
    child.unref();
    child.once('end', () => {
      if (this.#abort.signal.aborted) return;
      this.#child = null;
      this.#down(ended(child).message);
      this.#watch(this.#backoff.failed(Date.now() - this.#since));
    });
  }

  #up() {
    this.#misses = 0;
    if (this.#isReady) return;
    this.#isReady = true;
    this.#since = Date.now();
    this.#sender?.hurry();
    this.emit('ready');
  }

  /** @param {string} why */
  #down(why) {
    if (!this.#isReady) return;
    this.#isReady = false;
    this.#lostAt = Date.now();
    this.emit('down', why);
  }

  /** Look after the pipeline in `ms`, in place of what was planned. */
  #watch(ms = this.config.watchMs) {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#abort.signal.aborted) return;
    this.#timer = setTimeout(() => void this.#look(), ms);
    this.#timer.unref();
  }

  async #look() {
    const { signal } = this.#abort;
    const found = await probe(this.#url, { background: true });
    if (signal.aborted) return;
    if (found.state === 'ready') this.#up();
    // a gateway that answers is there, even if a worker of it isn't
    if (found.state === 'ready' || found.state === 'starting') this.#misses = 0;
    else if (++this.#misses >= MISSES) this.#down(`no answer: ${found.detail}`);
    if (this.#isReady || this.#child !== null || !this.#mayRestart())
      this.#watch();
    else await this.#restart(signal);
  }

  /** Whoever runs a pipeline that isn't ours is left some time to start it again. */
  #mayRestart() {
    if (this.#starting === null || !this.config.autoStart) return false;
    return this.#wasOurs || Date.now() >= this.#lostAt + this.config.takeoverMs;
  }

  /** @param {AbortSignal} signal */
  async #restart(signal) {
    this.emit('restart', this.#backoff.failures);
    try {
      await this.#launch(signal);
      this.#watch();
    } catch (error) {
      if (signal.aborted) return;
      this.emit('warning', error);
      this.#watch(this.#backoff.failed(0));
    }
  }

  /**
   * Send what waits, end the pipeline if it is ours, and wait for it.
   * @returns {Promise<void>}
   */
  stop() {
    // one that was started anew while it stopped
    if (this.#stopping !== null && this.#starting !== null)
      return this.#stopping.then(() => this.stop());
    this.#stopping ??= this.#stop().finally(() => {
      this.#stopping = null;
    });
    return this.#stopping;
  }

  async #stop() {
    const starting = this.#starting;
    this.#starting = this.#failure = null;
    this.#abort.abort();
    this.#watch();
    this.emit('stopping');
    await starting?.catch(() => {}); // it ends its own child
    const { stopTimeoutMs } = this.config;
    await this.#sender?.close(this.#isReady ? stopTimeoutMs : AWAY_MS);
    this.#sender = null;
    this.#isReady = false;
    const child = this.#child;
    this.#child = null;
    await child?.stop(stopTimeoutMs);
    removeExitHooks(this.#hooks);
    this.emit('stop');
  }

  /**
   * Never throws, never rejects, never waits for the network.
   * @param {Entry} entry
   * @returns {Promise<Receipt>} once it is on disk, or given up
   */
  log(entry) {
    return this.sender.log(entry);
  }

  /**
   * As log, for collectors that write JSON themselves: without a receipt, for a third of the cost.
   * @param {import('./delivery/receive.js').Posted} item
   */
  post(item) {
    this.sender.post(item);
  }

  /**
   * @param {Entry[]} entries
   * @param {boolean} [compress]
   * @returns {Promise<BatchReceipt>}
   */
  logBatch(entries, compress = false) {
    return this.sender.logBatch(entries, compress);
  }

  /**
   * Any method of the gateway; its own errors have `code` and `data`.
   * @param {string} method
   * @param {Record<string, any>} [params]
   * @param {import('./utils/json-rpc-client.js').CallOptions} [options]
   * @returns {Promise<any>}
   */
  async call(method, params = {}, options = {}) {
    if (!this.#isReady) throw new NotReadyError();
    return this.client.call(method, params, options);
  }

  /**
   * Entries that match, newest first.
   * @param {Record<string, any>} [params] sources, levels, since, q, limit, ...
   * @returns {Promise<any>}
   */
  query(params = {}) {
    return this.call('query', params);
  }

  /**
   * Entries that match a text, each with `context` entries before and after it.
   * @param {string} query
   * @param {string} [timerange]
   * @param {number} [context]
   * @returns {Promise<any>}
   */
  search(query, timerange = '1h', context = 0) {
    return this.call('search', { query, timerange, context });
  }

  /**
   * Exact counts by source, level and time.
   * @param {string} [timerange]
   * @returns {Promise<any>}
   */
  getStats(timerange = '1h') {
    return this.call('get_stats', { timerange });
  }
}

module.exports = { LogSystemBridge };
