'use strict';

/**
 * The trace that code works for: W3C Trace Context, carried by AsyncLocalStorage.
 *
 * @module
 */

const { AsyncLocalStorage } = require('node:async_hooks');
const { randomFillSync } = require('node:crypto');

// version, trace id, span id, flags; a later version may add fields
const TRACEPARENT =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;

/** Random bytes are drawn 256 ids at a time: one call of the system costs 2 us. */
const POOL = Buffer.allocUnsafe(4096);
let next = POOL.length;

/**
 * @param {number} size bytes of the id
 * @returns {string} in lower-case hex digits
 */
function randomId(size) {
  if (next + size > POOL.length) {
    randomFillSync(POOL);
    next = 0;
  }
  next += size;
  return POOL.toString('hex', next - size, next);
}

/** @returns {string} 32 hex digits */
const newTraceId = () => randomId(16);

/** @returns {string} 16 hex digits */
const newSpanId = () => randomId(8);

/** One piece of work, and the trace that it belongs to. */
class Trace {
  /**
   * @param {string} [traceId] a new one if it is not given
   * @param {string} [parentSpanId] the span of the caller
   * @param {string} [flags] `01` when the caller records the trace
   */
  constructor(traceId, parentSpanId, flags = '01') {
    /** @private */
    this._traceId = traceId;
    /** @private @type {string | undefined} */
    this._spanId = undefined;
    this.parentSpanId = parentSpanId;
    this.flags = flags;
  }

  /** Drawn when it is first asked for: not all requests are logged. */
  get traceId() {
    this._traceId ??= newTraceId();
    return this._traceId;
  }

  get spanId() {
    this._spanId ??= newSpanId();
    return this._spanId;
  }

  /** The header that takes the trace to the next service. */
  get traceparent() {
    return `00-${this.traceId}-${this.spanId}-${this.flags}`;
  }
}

/**
 * The trace of a `traceparent` header.
 * @param {unknown} header
 * @returns {Trace | undefined} undefined when it is not valid
 */
function parseTraceparent(header) {
  if (typeof header !== 'string') return undefined;
  const found = TRACEPARENT.exec(header.trim());
  return found === null ? undefined : new Trace(found[1], found[2], found[3]);
}

/**
 * What is current: the trace, and what a collector keeps with it.
 * @type {AsyncLocalStorage<{trace: Trace}>}
 */
const storage = new AsyncLocalStorage();

/** @returns {Trace | undefined} the trace that this code works for */
function currentTrace() {
  return storage.getStore()?.trace;
}

/** @returns {string | undefined} its id, as entries have it in `trace_id` */
function currentTraceId() {
  return storage.getStore()?.trace.traceId;
}

/** @returns {string | undefined} the header to send with a request to another service */
function traceparent() {
  return storage.getStore()?.trace.traceparent;
}

/**
 * Run a function for a trace; all that it awaits belongs to it too.
 * @template T
 * @param {Trace | string | undefined} trace a trace id, or the text of a `traceparent`, or a new one
 * @param {() => T} work
 * @returns {T}
 */
function withTrace(trace, work) {
  const store = {
    trace:
      trace instanceof Trace
        ? trace
        : (parseTraceparent(trace) ?? new Trace(trace)),
  };
  return storage.run(store, work);
}

module.exports = {
  Trace,
  currentTrace,
  currentTraceId,
  newSpanId,
  newTraceId,
  parseTraceparent,
  storage,
  traceparent,
  withTrace,
};
