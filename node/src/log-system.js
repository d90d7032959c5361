'use strict';

const path = require('node:path');

const { loadConfig } = require('./config/load-config.js');
const { recordOf } = require('./error-record.js');
const { ConfigError } = require('./errors.js');
const { LogSystemBridge } = require('./log-system-bridge.js');

/**
 * @typedef {import('./config/bridge-options.js').Options} Options
 * @typedef {Options & {config?: Record<string, any>, eventBus?: any}} InitializeOptions
 * @typedef {import('./collectors/recursive-collectors.js').RecursiveCollectors} RecursiveCollectors
 * @typedef {LogSystemBridge & {collectors: RecursiveCollectors}} CollectingLogSystem
 */

/**
 * The log system of this process, kept where a second copy of this package finds it too.
 * @type {{bridge: LogSystemBridge | null, collectors: RecursiveCollectors | null}}
 */
const shared = sharedHere();

function sharedHere() {
  const registry = /** @type {Record<symbol, any>} */ (
    /** @type {unknown} */ (globalThis)
  );
  const key = Symbol.for('@recursive/log-system');
  registry[key] ??= { bridge: null, collectors: null };
  return registry[key];
}

/**
 * A log system that is not started yet; it takes entries already.
 * @param {string | (Options & Record<string, any>)} [config] a tree of loadConfig, the
 *   short form {host, port, ...}, or the path of a file
 */
function createLogSystem(config) {
  const given = typeof config === 'string' ? loadConfig(config) : config;
  return new LogSystemBridge(given);
}

/**
 * The log system of this process, made by the first who asks.
 * @param {Options & Record<string, any>} [config]
 * @returns {LogSystemBridge}
 */
function sharedBridge(config) {
  if (shared.bridge === null) {
    shared.bridge = createLogSystem(config);
    return shared.bridge;
  }
  const asked = config?.configPath && path.resolve(config.configPath);
  const used = shared.bridge.config.configPath;
  if (asked && asked !== (used && path.resolve(used))) {
    const problem = `this process already has a log system with ${used ?? 'the defaults'}`;
    throw new ConfigError(asked, problem, 'the same everywhere');
  }
  return shared.bridge;
}

/**
 * The one log system of this process, started. A start that failed is tried again by the
 * next who asks.
 * @param {Options} [options] for whoever is first
 * @returns {Promise<LogSystemBridge>}
 */
async function getLogSystem(options) {
  return sharedBridge(options).start();
}

/**
 * The log system of this process with its collectors, as the configuration has them. They
 * collect before it has started, and go on if it can't be: then this rejects.
 * @param {InitializeOptions} [options]
 * @returns {Promise<CollectingLogSystem>}
 */
async function initializeLogSystem({ config, eventBus, ...options } = {}) {
  const bridge = sharedBridge({ ...config, ...options });
  if (shared.collectors === null) {
    const {
      RecursiveCollectors,
    } = require('./collectors/recursive-collectors.js');
    const collectors = new RecursiveCollectors(bridge, { eventBus });
    shared.collectors = collectors;
    collectors.start();
    // while what they still have to say is sent
    bridge.once('stopping', () => {
      collectors.stop();
      shared.collectors = null;
    });
  }
  const collecting = Object.assign(bridge, { collectors: shared.collectors });
  await bridge.start();
  return collecting;
}

/** Start the shared one, if nobody has; who only logs isn't told when that fails. */
function background() {
  const bridge = sharedBridge();
  if (!bridge.isReady) {
    bridge.start().catch((error) => bridge.emit('warning', error));
  }
  return bridge;
}

/** Logging without a log system at hand. */
const LogSystem = Object.freeze({
  /**
   * @param {string} level
   * @param {string} message
   * @param {Record<string, unknown>} [metadata]
   */
  quickLog(level, message, metadata = {}) {
    return background().log({
      source: 'recursive_shared',
      level,
      message,
      metadata,
      tags: ['shared'],
    });
  },

  /**
   * Whatever was thrown: its stack, name and causes, and all of an AggregateError's.
   * @param {unknown} error
   * @param {Record<string, unknown>} [context]
   */
  logError(error, context = {}) {
    const { message, ...record } = recordOf(error);
    return background().log({
      source: 'recursive_error',
      level: 'ERROR',
      message,
      metadata: { ...context, ...record },
      tags: ['error'],
    });
  },
});

module.exports = {
  LogSystem,
  createLogSystem,
  getLogSystem,
  initializeLogSystem,
};
