'use strict';

/**
 * Calls of the platform's MCP servers: `mcp:request` and `mcp:response` of the bus.
 *
 * @module
 */

const {
  Collector,
  durationOf,
  field,
  known,
  milliseconds,
  word,
} = require('./collector.js');
const { Pending } = require('./pending.js');
const { describe } = require('./redact.js');
const { currentTraceId, newTraceId } = require('./trace.js');

/** A call that has no response after this long is reported: MCP clients wait for 60 s. */
const TIMEOUT_MS = 300_000;
const MAX_PENDING = 10_000;
const CHECK_MS = 5000;

/**
 * @typedef {object} Call
 * @property {string} method
 * @property {string | undefined} id
 * @property {string | undefined} tool
 * @property {string | undefined} traceId
 */

/**
 * Logs each call when it comes and when it ends.
 *
 * `mcp:request`: {method, params, id, trace_id}; `mcp:response`: {id, method, error,
 * duration_ms, trace_id}. `requestId`, `request_id`, `traceId`, `duration` and
 * `durationMs` are understood too.
 */
class MCPCollector extends Collector {
  /** @override */
  static section = 'recursive_mcp';

  /**
   * @param {import('./collector.js').LogSystem} logSystem
   * @param {import('./collector.js').CollectorOptions & {maxPending?: number, now?: () => number}} [options]
   */
  constructor(logSystem, options = {}) {
    super(logSystem, options);
    Object.assign(this._counts, {
      requests: 0,
      responses: 0,
      unmatched: 0,
      expired: 0,
    });
    this._now = options.now ?? (() => performance.now());
    /** @type {Pending<Call>} */
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
      'mcp:request': (event) => this._request(event),
      'mcp:response': (event) => this._response(event),
    });
    const timer = setInterval(
      () => this._guard(() => this.expire()),
      Math.min(CHECK_MS, this._pending.timeoutMs / 4),
    ).unref();
    this._undo.push(() => clearInterval(timer));
  }

  /**
   * Report calls that wait for too long; a timer does it.
   * @param {number} [now]
   */
  expire(now = this._now()) {
    for (const call of this._pending.expire(now)) this._expired(call, now);
  }

  /**
   * @override
   * @returns {this}
   */
  stop() {
    if (this.isStarted) {
      for (const call of this._pending.clear())
        this._expired(call, this._now());
    }
    return super.stop();
  }

  /**
   * @param {Record<string, any>} event
   */
  _request(event) {
    this._counts.requests += 1;
    const id = idOf(event);
    const method = this._methodOf(event);
    const tool = toolOf(event);
    const traceId = this._traceOf(event);
    if (id !== undefined) {
      const now = this._now();
      for (const call of this._pending.begin(
        id,
        { method, id, tool, traceId },
        now,
      )) {
        this._expired(call, now);
      }
    }
    this._log(
      'INFO',
      `MCP ${method} called`,
      known({
        method,
        params: this.redactor.value(event.params),
        request_id: id,
        tool,
      }),
      ['mcp', 'api'],
      traceId,
    );
  }

  /**
   * @param {Record<string, any>} event
   */
  _response(event) {
    this._counts.responses += 1;
    const id = idOf(event);
    const begun = id === undefined ? undefined : this._pending.end(id);
    if (begun === undefined) this._counts.unmatched += 1;
    const method = this._methodOf(event, begun?.value.method);
    const error = errorOf(event);
    const failed = error !== undefined;
    this._log(
      failed ? 'ERROR' : 'INFO',
      `MCP ${method} ${failed ? 'failed' : 'completed'}`,
      known({
        method,
        request_id: id,
        duration_ms: durationOf(event, begun, this._now()),
        tool: begun?.value.tool,
        ...(failed ? this._errorFields(error) : {}),
      }),
      ['mcp', 'api', failed ? 'error' : 'success'],
      this._traceOf(event, begun?.value.traceId),
    );
  }

  /**
   * @param {Record<string, any>} event
   * @param {string} [begun] that of the request
   */
  _methodOf(event, begun = 'unknown') {
    const named = field(event, 'method', 'tool', 'name');
    return named === undefined ? begun : this.redactor.text(named, 256);
  }

  /**
   * @param {unknown} error
   */
  _errorFields(error) {
    const { message, code } = /** @type {any} */ (
      typeof error === 'object' && error !== null ? error : { message: error }
    );
    return {
      error: this.redactor.text(
        typeof message === 'string' ? message : describe(error),
      ),
      error_code: typeof code === 'number' ? code : word(code),
    };
  }

  /**
   * @param {Record<string, any>} event
   * @param {string} [begun] that of the request
   * @returns {string | undefined}
   */
  _traceOf(event, begun) {
    const given =
      word(field(event, 'trace_id', 'traceId')) ?? begun ?? currentTraceId();
    if (given !== undefined || this.config.auto_trace === false) return given;
    return newTraceId();
  }

  /**
   * @param {import('./pending.js').Begun<Call>} call
   * @param {number} now
   */
  _expired({ value, since }, now) {
    this._counts.expired += 1;
    this._log(
      'WARN',
      `MCP ${value.method} has no response`,
      known({
        method: value.method,
        request_id: value.id,
        tool: value.tool,
        waited_ms: milliseconds(now - since),
      }),
      ['mcp', 'api', 'unmatched'],
      value.traceId,
    );
  }
}

/**
 * @param {Record<string, any>} event
 * @returns {string | undefined}
 */
function idOf(event) {
  return word(field(event, 'request_id', 'requestId', 'id'));
}

/**
 * The tool of a `tools/call`, which is what one looks for.
 * @param {Record<string, any>} event
 * @returns {string | undefined}
 */
function toolOf(event) {
  return event.method === 'tools/call' ? word(event.params?.name) : undefined;
}

/**
 * The error of a response: the protocol's own, or that of a tool's result.
 * @param {Record<string, any>} event
 * @returns {unknown}
 */
function errorOf(event) {
  if (
    event.error !== undefined &&
    event.error !== null &&
    event.error !== false
  ) {
    return event.error;
  }
  if (event.result?.isError !== true) return undefined;
  return event.result.content?.[0]?.text ?? 'the tool reported an error';
}

module.exports = { MCPCollector };
