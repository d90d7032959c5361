'use strict';

/**
 * A logger that is an EventEmitter: what it emits as `log`.
 *
 * @module
 */

const { Collector, field, isRecord, word } = require('./collector.js');
const { describe } = require('./redact.js');
const { currentTraceId } = require('./trace.js');

const MAX_MESSAGE = 16_384;

/** Fields of an event that are not metadata. */
const OWN = new Set([
  'level',
  'severity',
  'message',
  'msg',
  'metadata',
  'meta',
  'data',
  'tags',
  'trace_id',
  'traceId',
  'timestamp',
  'time',
  'source',
]);

/**
 * Logs `logger.emit('log', {level, message, metadata, tags, trace_id})`, and
 * `logger.emit('log', level, message, metadata)`.
 */
class LoggerCollector extends Collector {
  /** @override */
  static section = 'recursive_server';

  /**
   * @param {import('./collector.js').LogSystem} logSystem
   * @param {import('./collector.js').CollectorOptions & {logger: import('./event-bus.js').EventBus}} options
   */
  constructor(logSystem, options) {
    super(logSystem, options);
    this.logger = options?.logger;
    if (typeof this.logger?.on !== 'function') {
      throw new TypeError(
        "logger: has no method on('log', listener); expected an EventEmitter",
      );
    }
  }

  /** @override */
  _listen() {
    const { logger } = this;
    const listener = (/** @type {any[]} */ ...values) =>
      this._guard(() => this._logged(values));
    logger.on('log', listener);
    this._undo.push(() =>
      (logger.off ?? logger.removeListener)?.call(logger, 'log', listener),
    );
  }

  /**
   * @param {any[]} values
   */
  _logged(values) {
    const event = isRecord(values[0])
      ? values[0]
      : { level: values[0], message: values[1], metadata: values[2] };
    const message = field(event, 'message', 'msg') ?? '';
    const level = word(field(event, 'level', 'severity'), 32) ?? 'INFO';
    const tags = Array.isArray(event.tags) ? event.tags.map(String) : [];
    const metadata = /** @type {Record<string, unknown>} */ (
      this.redactor.value(metadataOf(event))
    );
    this._log(
      level.toUpperCase(),
      this.redactor.text(textOf(message), MAX_MESSAGE),
      metadata,
      ['server', ...tags],
      word(field(event, 'trace_id', 'traceId')) ?? currentTraceId(),
    );
  }
}

/**
 * @param {any} message
 */
function textOf(message) {
  return typeof message === 'string' ? message : describe(message);
}

/**
 * What an event says beside its message.
 * @param {Record<string, any>} event
 * @returns {Record<string, unknown>}
 */
function metadataOf(event) {
  const given = field(event, 'metadata', 'meta', 'data');
  /** @type {Record<string, unknown>} */
  const metadata =
    isRecord(given) && !(given instanceof Error) ? { ...given } : {};
  if (given !== undefined && !isRecord(given)) metadata.data = given;
  if (given instanceof Error) metadata.error = given;
  if (event.message instanceof Error) metadata.error = event.message;
  for (const [name, value] of Object.entries(event)) {
    if (!OWN.has(name)) metadata[name] ??= value;
  }
  return metadata;
}

module.exports = { LoggerCollector };
