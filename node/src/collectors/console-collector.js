'use strict';

/**
 * What a program writes by `console`: it is printed as before, and logged.
 *
 * @module
 */

const { formatWithOptions, stripVTControlCharacters } = require('node:util');

const { Collector } = require('./collector.js');
const { currentTraceId } = require('./trace.js');

/** Levels by the method's name. */
const LEVELS = /** @type {const} */ ({
  trace: 'DEBUG',
  debug: 'DEBUG',
  log: 'INFO',
  info: 'INFO',
  warn: 'WARN',
  error: 'ERROR',
});

const MAX_MESSAGE = 8192;

/** As console formats, but bounded. */
const FORMAT = { depth: 4, maxArrayLength: 50, maxStringLength: MAX_MESSAGE };

/** Logs calls of console's methods from start() to stop(). */
class ConsoleCollector extends Collector {
  /** @override */
  static section = 'console';

  /**
   * @param {import('./collector.js').LogSystem} logSystem
   * @param {import('./collector.js').CollectorOptions & {console?: Console}} [options]
   */
  constructor(logSystem, options = {}) {
    super(logSystem, options);
    this._console = options.console ?? console;
    /** A log system that prints would be logged for ever. */
    this._isLogging = false;
  }

  /** @override */
  _listen() {
    for (const [name, level] of Object.entries(LEVELS)) {
      this._follow(/** @type {keyof typeof LEVELS} */ (name), level);
    }
  }

  /**
   * @param {keyof typeof LEVELS} name
   * @param {string} level
   */
  _follow(name, level) {
    const target = this._console;
    const print = target[name];
    const collector = this;
    /**
     * @this {Console}
     * @param {...any} values
     */
    const followed = function (...values) {
      print.apply(this, values);
      collector._printed(name, level, values);
    };
    target[name] = followed;
    this._undo.push(() => {
      if (target[name] === followed) target[name] = print;
    });
  }

  /**
   * @param {string} method
   * @param {string} level
   * @param {any[]} values
   */
  _printed(method, level, values) {
    if (this._isLogging || !this.isStarted) return;
    this._isLogging = true;
    this._guard(() => {
      const text = stripVTControlCharacters(
        formatWithOptions(FORMAT, ...values),
      );
      const error = values.find((value) => value instanceof Error);
      this._log(
        level,
        this.redactor.text(text, MAX_MESSAGE),
        {
          method,
          ...(error && {
            error_type: error.name,
            stack: this.redactor.text(error.stack ?? ''),
          }),
        },
        ['console'],
        currentTraceId(),
      );
    });
    this._isLogging = false;
  }
}

module.exports = { ConsoleCollector };
