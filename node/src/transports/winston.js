'use strict';

/**
 * A transport of winston:
 *
 *     winston.createLogger({ transports: [new RecursiveTransport({ logSystem, source: 'web' })] })
 *
 * @module
 */

const { Transport } = loadWinston();

const { Redactor } = require('../collectors/redact.js');
const { currentTraceId } = require('../collectors/trace.js');

/** winston's names for levels, and syslog's. @type {Record<string, string>} */
const LEVELS = {
  silly: 'TRACE',
  verbose: 'DEBUG',
  http: 'INFO',
  notice: 'INFO',
  warning: 'WARN',
  crit: 'FATAL',
  alert: 'FATAL',
  emerg: 'FATAL',
};

/** Fields of a record that are not metadata. */
const OWN = new Set([
  ...['level', 'message', 'timestamp', 'trace_id', 'traceId', 'tags', 'source'],
]);

/** @returns {any} */
function loadWinston() {
  try {
    return require('winston');
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code !== 'MODULE_NOT_FOUND') throw error;
    throw new Error(
      'the transport of winston needs winston: npm install winston',
      { cause: error },
    );
  }
}

/**
 * @typedef {object} WinstonOptions
 * @property {import('../collectors/collector.js').LogSystem} logSystem
 * @property {string} [source] of the entries; `winston`
 * @property {string} [level] the lowest one that is taken
 * @property {any} [format]
 * @property {boolean} [silent]
 */

/** Hands records to a log system; it is not stopped with the logger. */
class RecursiveTransport extends Transport {
  /** @param {WinstonOptions} options */
  constructor(options) {
    super(options);
    if (typeof options?.logSystem?.log !== 'function') {
      throw new TypeError(
        'logSystem: has no method log(entry); expected what createLogSystem() returns',
      );
    }
    this.logSystem = options.logSystem;
    this.source = options.source ?? 'winston';
    this.redactor = new Redactor();
  }

  /**
   * @param {Record<string, any>} record
   * @param {() => void} done
   */
  log(record, done) {
    try {
      this.logSystem.log(this._entryOf(record));
    } catch {
      // a program's logger must not fail it
    }
    setImmediate(() => this.emit('logged', record));
    done();
  }

  /**
   * @param {Record<string, any>} record
   * @returns {import('../collectors/collector.js').Entry}
   */
  _entryOf(record) {
    const { level, message, tags, source } = record;
    /** @type {Record<string, unknown>} */
    const metadata = {};
    for (const key of Object.keys(record)) {
      if (!OWN.has(key)) metadata[key] = record[key];
    }
    const name = String(level);
    const trace = record.trace_id ?? record.traceId ?? currentTraceId();
    return {
      source: typeof source === 'string' ? source : this.source,
      level: LEVELS[name] ?? name.toUpperCase(),
      message: this.redactor.text(message ?? '', 1 << 16),
      metadata: /** @type {Record<string, unknown>} */ (
        this.redactor.value(metadata)
      ),
      ...(Array.isArray(tags) && { tags: tags.map(String) }),
      ...(typeof trace === 'string' && { trace_id: trace }),
    };
  }
}

module.exports = { RecursiveTransport };
