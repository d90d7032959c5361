'use strict';

/**
 * What all collectors have in common: they listen, and never fail their host.
 *
 * @module
 */

const { Receipt } = require('../delivery/receipt.js');
const { findEventBus } = require('./event-bus.js');
const { Redactor } = require('./redact.js');
const { rulesOf } = require('./redaction-rules.js');

/**
 * An entry as `log` of the gateway takes it.
 * @typedef {object} Entry
 * @property {string} source
 * @property {string} level
 * @property {string} message
 * @property {Record<string, unknown>} [metadata]
 * @property {string[]} [tags]
 * @property {string} [trace_id]
 * @property {string} [timestamp]
 */

/**
 * What collectors need of a log system: a LogSystemBridge, or anything like it.
 * @typedef {object} LogSystem
 * @property {(entry: Entry) => unknown} log
 * @property {{collectors?: Record<string, any>} | any} [config]
 */

/**
 * @typedef {object} CollectorOptions
 * @property {import('./event-bus.js').EventBus} [eventBus]
 * @property {Record<string, any>} [config] its section of `collectors`; that of the log system's if it is not given
 * @property {string} [source]
 */

/** Hands entries to the log system. Base of the others. */
class Collector {
  /** Name of its section of `collectors` in the configuration. */
  static section = '';

  /**
   * @param {LogSystem} logSystem
   * @param {CollectorOptions} [options]
   */
  constructor(logSystem, options = {}) {
    if (typeof logSystem?.log !== 'function') {
      throw new TypeError(
        'logSystem: has no method log(entry); expected what createLogSystem() returns',
      );
    }
    this.logSystem = logSystem;
    const { section } = /** @type {typeof Collector} */ (this.constructor);
    /** @type {Record<string, any>} */
    this.config = {
      ...logSystem.config?.collectors?.[section],
      ...options.config,
    };
    this.source = options.source ?? section;
    /** @protected */
    this._givenBus = options.eventBus;
    this.redactor = new Redactor(rulesOf(logSystem.config?.redaction));
    /** @type {Record<string, number>} */
    this._counts = { logged: 0, failed: 0 };
    /** @type {Array<() => void>} what stop() undoes */
    this._undo = [];
    this.isStarted = false;
  }

  /** Whether the configuration wants it. */
  get isEnabled() {
    return this.config.enabled !== false;
  }

  /**
   * Entries logged, events that were unusable, secrets masked and texts cut.
   * @returns {Record<string, number>}
   */
  get counters() {
    const { redacted, cut } = this.redactor;
    return { ...this._counts, redacted, cut };
  }

  /**
   * Begin to listen; a second call does nothing.
   * @returns {this}
   */
  start() {
    if (this.isStarted || !this.isEnabled) return this;
    this.isStarted = true;
    this._listen();
    return this;
  }

  /**
   * Stop listening; a second call does nothing.
   * @returns {this}
   */
  stop() {
    if (!this.isStarted) return this;
    this.isStarted = false;
    for (const undo of this._undo.splice(0)) this._guard(undo);
    return this;
  }

  /**
   * What start() begins.
   * @protected
   */
  _listen() {}

  /**
   * Listen on the bus until stop().
   * @protected
   * @param {Record<string, (event: any) => void>} handlers
   */
  _on(handlers) {
    const bus = findEventBus(this._givenBus);
    for (const [event, handler] of Object.entries(handlers)) {
      const listener = (/** @type {unknown} */ data) =>
        this._guard(() => handler(isRecord(data) ? data : {}));
      bus.on(event, listener);
      this._undo.push(() =>
        (bus.off ?? bus.removeListener)?.call(bus, event, listener),
      );
    }
  }

  /**
   * Do something that the host must not notice when it fails.
   * @protected
   * @param {() => void} work
   */
  _guard(work) {
    try {
      work();
    } catch {
      this._counts.failed += 1;
    }
  }

  /**
   * Log an entry of this collector: fire and forget.
   * @protected
   * @param {string} level
   * @param {string} message
   * @param {Record<string, unknown>} metadata undefined values are left out
   * @param {string[]} tags
   * @param {string} [traceId]
   */
  _log(level, message, metadata, tags, traceId) {
    /** @type {Entry} */
    const entry = { source: this.source, level, message, metadata, tags };
    if (traceId !== undefined) entry.trace_id = traceId;
    this._send(entry);
  }

  /**
   * @protected
   * @param {Entry} entry
   */
  _send(entry) {
    try {
      const reply = /** @type {any} */ (this.logSystem.log(entry));
      this._counts.logged += 1;
      // a bridge's never rejects, and costs more once it is asked for its outcome
      if (!(reply instanceof Receipt) && typeof reply?.catch === 'function') {
        reply.catch(this._rejected);
      }
    } catch {
      this._counts.failed += 1;
    }
  }

  /** @protected */
  _rejected = () => {
    this._counts.failed += 1;
  };
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, any>}
 */
function isRecord(value) {
  return typeof value === 'object' && value !== null;
}

/**
 * The first of some fields that is there: events of several generations differ.
 * @param {Record<string, any>} event
 * @param {...string} names
 * @returns {any}
 */
function field(event, ...names) {
  for (const name of names) {
    if (event[name] !== undefined && event[name] !== null) return event[name];
  }
  return undefined;
}

/**
 * A short text of an event's field; undefined when it has none.
 * @param {unknown} value
 * @param {number} [size]
 * @returns {string | undefined}
 */
function word(value, size = 256) {
  if (typeof value === 'string') return value.slice(0, size);
  if (typeof value === 'number' || typeof value === 'bigint')
    return String(value);
  return undefined;
}

/**
 * A finite number of an event's field; undefined when it has none.
 * @param {unknown} value
 * @returns {number | undefined}
 */
function number(value) {
  return typeof value === 'number' && Number.isFinite(value)
    ? value
    : undefined;
}

/**
 * Milliseconds with three decimals.
 * @param {number} value
 * @returns {number}
 */
function milliseconds(value) {
  return Math.round(value * 1000) / 1000;
}

/**
 * Milliseconds as an event has them, or since what it ends has begun.
 * @param {Record<string, any>} event
 * @param {{since: number}} [begun]
 * @param {number} [now]
 * @returns {number | undefined}
 */
function durationOf(event, begun, now = 0) {
  const given = number(field(event, 'duration_ms', 'durationMs', 'duration'));
  const duration = given ?? (begun && now - begun.since);
  return duration === undefined ? undefined : milliseconds(duration);
}

/**
 * A map without the fields that are undefined.
 * @param {Record<string, unknown>} fields
 * @returns {Record<string, unknown>}
 */
function known(fields) {
  for (const name of Object.keys(fields)) {
    if (fields[name] === undefined) delete fields[name];
  }
  return fields;
}

module.exports = {
  durationOf,
  Collector,
  field,
  isRecord,
  known,
  milliseconds,
  number,
  word,
};
