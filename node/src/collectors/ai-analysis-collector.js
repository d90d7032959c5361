'use strict';

/**
 * Analyses of the platform's AI workers, and the Python calls that they make.
 *
 * @module
 */

const {
  Collector,
  durationOf,
  field,
  known,
  milliseconds,
  number,
  word,
} = require('./collector.js');
const { Pending } = require('./pending.js');
const { describe } = require('./redact.js');
const { currentTraceId } = require('./trace.js');

/** An analysis that has not ended after this long is reported: its worker is silent. */
const TIMEOUT_MS = 600_000;
const MAX_PENDING = 10_000;
const CHECK_MS = 5000;

/**
 * @typedef {object} Analysis
 * @property {string} [id]
 * @property {string} type
 * @property {number} [inputSize]
 * @property {string} [worker]
 * @property {string} [traceId]
 */

/**
 * Logs analyses when they start and end, and those that never end.
 *
 * `ai:analysis:start`: {analysis_id, analysis_type, input_size, worker, trace_id};
 * `ai:analysis:complete`: {analysis_id, duration_ms, result_size, error};
 * `ai:analysis:error`: the same, failed; `ai:python:call`: {function, duration_ms,
 * analysis_id, exit_code, error}. Names in camelCase are understood too.
 */
class AIAnalysisCollector extends Collector {
  /** @override */
  static section = 'recursive_ai';

  /**
   * @param {import('./collector.js').LogSystem} logSystem
   * @param {import('./collector.js').CollectorOptions & {maxPending?: number, now?: () => number}} [options]
   */
  constructor(logSystem, options = {}) {
    super(logSystem, options);
    Object.assign(this._counts, {
      started: 0,
      completed: 0,
      unmatched: 0,
      expired: 0,
      python_calls: 0,
    });
    this._now = options.now ?? (() => performance.now());
    /** @type {Pending<Analysis>} */
    this._pending = new Pending({
      limit: options.maxPending ?? MAX_PENDING,
      timeoutMs: this.config.timeout_seconds * 1000 || TIMEOUT_MS,
    });
  }

  /**
   * @override
   * @returns {Record<string, number>}
   */
  get counters() {
    return { ...super.counters, pending: this._pending.size };
  }

  /** @override */
  _listen() {
    this._on({
      'ai:analysis:start': (event) => this._started(event),
      'ai:analysis:complete': (event) => this._completed(event),
      'ai:analysis:error': (event) =>
        this._completed({ ...event, error: event.error ?? 'failed' }),
      'ai:python:call': (event) => this._pythonCall(event),
    });
    const timer = setInterval(
      () => this._guard(() => this.expire()),
      Math.min(CHECK_MS, this._pending.timeoutMs / 4),
    ).unref();
    this._undo.push(() => clearInterval(timer));
  }

  /**
   * Report analyses that take too long; a timer does it.
   * @param {number} [now]
   */
  expire(now = this._now()) {
    for (const begun of this._pending.expire(now)) this._expired(begun, now);
  }

  /**
   * @override
   * @returns {this}
   */
  stop() {
    if (this.isStarted) {
      const now = this._now();
      for (const begun of this._pending.clear()) this._expired(begun, now);
    }
    return super.stop();
  }

  /**
   * Run a Python call and log it with its duration: what it returns, or a promise of it,
   * or the child process that it is.
   * @template T
   * @param {string} name of the function or script
   * @param {() => T} call
   * @param {{analysis_id?: string}} [about]
   * @returns {T}
   */
  python(name, call, about = {}) {
    const since = this._now();
    /** @type {(more: Record<string, any>) => void} */
    const ended = (more) =>
      this._guard(() => {
        const duration_ms = this._now() - since;
        if (!this.isStarted) return;
        this._pythonCall({ function: name, duration_ms, ...about, ...more });
      });
    let result;
    try {
      result = call();
    } catch (error) {
      ended({ error });
      throw error;
    }
    return whenEnded(result, ended);
  }

  /**
   * @param {Record<string, any>} event
   */
  _started(event) {
    this._counts.started += 1;
    const analysis = {
      type: 'analysis',
      traceId: currentTraceId(),
      ...this._analysisOf(event),
    };
    if (analysis.id !== undefined) {
      const now = this._now();
      for (const begun of this._pending.begin(analysis.id, analysis, now)) {
        this._expired(begun, now);
      }
    }
    this._log(
      'INFO',
      `AI ${analysis.type} started`,
      known({
        analysis_type: analysis.type,
        input_size: analysis.inputSize,
        analysis_id: analysis.id,
        worker: analysis.worker,
      }),
      ['ai', 'analysis', 'start'],
      analysis.traceId,
    );
  }

  /**
   * @param {Record<string, any>} event
   */
  _completed(event) {
    this._counts.completed += 1;
    const id = idOf(event);
    const begun = id === undefined ? undefined : this._pending.end(id);
    if (begun === undefined) this._counts.unmatched += 1;
    const { type, inputSize, worker, traceId } = {
      ...begun?.value,
      ...this._analysisOf(event),
    };
    const error = event.error ? this._error(event.error) : undefined;
    this._log(
      error ? 'ERROR' : 'INFO',
      `AI ${type ?? 'analysis'} ${error ? 'failed' : 'completed'}`,
      known({
        analysis_type: type,
        analysis_id: id,
        duration_ms: durationOf(event, begun, this._now()),
        input_size: inputSize,
        result_size: number(field(event, 'result_size', 'resultSize')),
        worker,
        error,
      }),
      ['ai', 'analysis', error ? 'error' : 'complete'],
      traceId ?? currentTraceId(),
    );
  }

  /**
   * @param {Record<string, any>} event
   */
  _pythonCall(event) {
    this._counts.python_calls += 1;
    if (this.config.log_python_calls === false) return;
    const name = this.redactor.text(
      field(event, 'function', 'call', 'script', 'name') ?? 'unknown',
      256,
    );
    const exitCode = number(field(event, 'exit_code', 'exitCode'));
    const failed = Boolean(event.error) || Boolean(exitCode);
    this._log(
      failed ? 'ERROR' : 'INFO',
      `Python ${name} ${failed ? 'failed' : 'completed'}`,
      known({
        function: name,
        duration_ms: durationOf(event),
        analysis_id: idOf(event),
        exit_code: exitCode,
        error: event.error ? this._error(event.error) : undefined,
      }),
      ['ai', 'python', failed ? 'error' : 'success'],
      word(field(event, 'trace_id', 'traceId')) ?? currentTraceId(),
    );
  }

  /**
   * @param {import('./pending.js').Begun<Analysis>} begun
   * @param {number} now
   */
  _expired({ value, since }, now) {
    this._counts.expired += 1;
    this._log(
      'WARN',
      `AI ${value.type} has not completed`,
      known({
        analysis_type: value.type,
        analysis_id: value.id,
        input_size: value.inputSize,
        worker: value.worker,
        waited_ms: milliseconds(now - since),
      }),
      ['ai', 'analysis', 'unmatched'],
      value.traceId,
    );
  }

  /**
   * What an event says of its analysis, and nothing else.
   * @param {Record<string, any>} event
   * @returns {Partial<Analysis>}
   */
  _analysisOf(event) {
    const type = field(event, 'analysis_type', 'analysisType', 'type');
    return known({
      id: idOf(event),
      type: type === undefined ? undefined : this.redactor.text(type, 256),
      inputSize: number(field(event, 'input_size', 'inputSize')),
      worker: word(field(event, 'worker', 'worker_id', 'workerId')),
      traceId: word(field(event, 'trace_id', 'traceId')),
    });
  }

  /**
   * @param {any} error
   * @returns {string}
   */
  _error(error) {
    const { message } = error;
    return this.redactor.text(
      typeof message === 'string' ? message : describe(error),
    );
  }
}

/**
 * See the end of what a call has returned: a promise stays unhandled if its host does
 * not handle it.
 * @param {any} result
 * @param {(more: Record<string, any>) => void} ended
 * @returns {any}
 */
function whenEnded(result, ended) {
  if (result instanceof Promise) {
    return result.then(
      (value) => {
        ended({});
        return value;
      },
      (error) => {
        ended({ error });
        throw error;
      },
    );
  }
  if (isChildProcess(result)) {
    result.once(
      'close',
      (
        /** @type {number | null} */ code,
        /** @type {string | null} */ signal,
      ) =>
        ended(signal ? { error: `ended by ${signal}` } : { exit_code: code }),
    );
  } else {
    ended({});
  }
  return result;
}

/**
 * @param {any} value
 */
function isChildProcess(value) {
  return typeof value?.once === 'function' && 'exitCode' in value;
}

/**
 * @param {Record<string, any>} event
 */
function idOf(event) {
  return word(field(event, 'analysis_id', 'analysisId', 'id'));
}

module.exports = { AIAnalysisCollector };
