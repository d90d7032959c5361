'use strict';

/**
 * All collectors of the platform, started as the configuration has it.
 *
 * @module
 */

const { EventEmitter } = require('node:events');

const { AIAnalysisCollector } = require('./ai-analysis-collector.js');
const { ConsoleCollector } = require('./console-collector.js');
const { DatabaseCollector } = require('./database-collector.js');
const { findEventBus } = require('./event-bus.js');
const { HTTPCollector } = require('./http-collector.js');
const { LoggerCollector } = require('./logger-collector.js');
const { MCPCollector } = require('./mcp-collector.js');
const { WebSocketCollector } = require('./websocket-collector.js');

/**
 * @typedef {import('./collector.js').Collector} Collector
 * @typedef {import('./collector.js').LogSystem} LogSystem
 */

/**
 * Emits `started` and `stopped` with a collector's name. Without an eventBus it listens
 * to that of `@recursive/shared`, or, where that is not installed, to one of this
 * process; `eventBus` has the one in use.
 */
class RecursiveCollectors extends EventEmitter {
  /**
   * @param {LogSystem} logSystem
   * @param {{eventBus?: import('./event-bus.js').EventBus}} [options]
   * @throws {TypeError} when the log system or the bus is none
   */
  constructor(logSystem, options = {}) {
    super();
    if (typeof logSystem?.log !== 'function') {
      throw new TypeError(
        'logSystem: has no method log(entry); expected what createLogSystem() returns',
      );
    }
    this.logSystem = logSystem;
    this.eventBus = findEventBus(options.eventBus);
    /** @type {Record<string, Collector>} those that were started, by name */
    this.collectors = {};
    this.isStarted = false;
  }

  /**
   * Start those that the configuration has enabled.
   * @returns {Promise<this>}
   */
  async start() {
    if (this.isStarted) return this;
    this.isStarted = true;
    this.startMCPCollector();
    this.startWebSocketCollector();
    this.startAIAnalysisCollector();
    this.startHTTPCollector();
    return this;
  }

  /**
   * Stop all; what was wrapped works on, unlogged.
   * @returns {Promise<this>}
   */
  async stop() {
    this.isStarted = false;
    for (const [name, collector] of Object.entries(this.collectors)) {
      if (!collector.isStarted) continue;
      collector.stop();
      this.emit('stopped', name);
    }
    return this;
  }

  /**
   * Counters of each collector.
   * @returns {Record<string, Record<string, number>>}
   */
  get counters() {
    return Object.fromEntries(
      Object.entries(this.collectors).map(([name, { counters }]) => [
        name,
        counters,
      ]),
    );
  }

  /**
   * @param {Record<string, any>} [config] what differs from the configuration
   * @returns {MCPCollector}
   */
  startMCPCollector(config) {
    return this._start('mcp', MCPCollector, { config });
  }

  /**
   * @param {Record<string, any>} [config] what differs from the configuration
   * @returns {WebSocketCollector}
   */
  startWebSocketCollector(config) {
    return this._start('websocket', WebSocketCollector, { config });
  }

  /**
   * @param {Record<string, any>} [config] what differs from the configuration
   * @returns {AIAnalysisCollector}
   */
  startAIAnalysisCollector(config) {
    return this._start('ai', AIAnalysisCollector, { config });
  }

  /**
   * The middleware itself, for `app.use`. One that is disabled passes requests on.
   * @param {Record<string, any>} [config] what differs from the configuration
   * @returns {import('./http-collector.js').Middleware}
   */
  startHTTPCollector(config) {
    return this._start('http', HTTPCollector, { config }).middleware;
  }

  /**
   * Follow a client or a pool of `pg`.
   * @template T
   * @param {T} client
   * @param {{slowMs?: number, name?: string}} [options]
   * @returns {T} the same
   */
  wrapDatabase(client, options) {
    const name = options?.name ? `database ${options.name}` : 'database';
    return this._start(name, DatabaseCollector, options).wrap(client);
  }

  /**
   * Log what the program prints by `console`.
   * @returns {ConsoleCollector}
   */
  startConsoleCapture() {
    return this._start('console', ConsoleCollector);
  }

  /**
   * Log what an EventEmitter emits as `log`.
   * @param {import('./event-bus.js').EventBus} logger
   * @returns {LoggerCollector}
   */
  startLogger(logger) {
    let name = 'logger';
    for (let count = 2; this._hasOther(name, logger); count += 1) {
      name = `logger ${count}`;
    }
    return this._start(name, LoggerCollector, { logger });
  }

  /**
   * @param {string} name
   * @param {import('./event-bus.js').EventBus} logger
   */
  _hasOther(name, logger) {
    const running = /** @type {LoggerCollector | undefined} */ (
      this.collectors[name]
    );
    return running?.isStarted === true && running.logger !== logger;
  }

  /**
   * @template {Collector} T
   * @param {string} name
   * @param {new (logSystem: LogSystem, options: any) => T} type
   * @param {Record<string, any>} [options]
   * @returns {T}
   */
  _start(name, type, options = {}) {
    const running = /** @type {T | undefined} */ (this.collectors[name]);
    if (running?.isStarted) return running;
    const { eventBus, logSystem } = this;
    const collector = new type(logSystem, { eventBus, ...options }).start();
    this.collectors[name] = collector;
    if (collector.isStarted) this.emit('started', name);
    return collector;
  }
}

module.exports = {
  AIAnalysisCollector,
  ConsoleCollector,
  DatabaseCollector,
  HTTPCollector,
  LoggerCollector,
  MCPCollector,
  RecursiveCollectors,
  WebSocketCollector,
};
