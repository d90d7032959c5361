'use strict';

/**
 * JSON-RPC 2.0 over HTTP, as the gateway speaks it.
 *
 * Connections are kept alive. What may be done twice without harm is tried again:
 * questions, and whatever the caller calls idempotent; everything else is sent once.
 *
 * @module
 */

const { setMaxListeners } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');

const { postingBy, postingTo } = require('./http-post.js');

const TIMEOUT_MS = 30_000;
const RETRIES = 2;
const BACKOFF_MS = 100;
const BACKOFF_MAX_MS = 5_000;

const OK = 200;

/** The gateway is busy; `data.retry_after_ms` says until when. */
const BUSY = -32003;
/** A worker process of the gateway ended; the question may be asked again. */
const WORKER_ENDED = -32005;

/** Methods that change nothing. */
const READS = new Set([
  ...['query', 'search', 'get_stats', 'aggregate', 'histogram', 'facets'],
  ...['patterns', 'describe', 'get_entry', 'get_context', 'get_trace'],
  ...['explain', 'get_alerts', 'get_ledger', 'get_limits', 'health'],
  ...['get_recent_errors', 'analyze_performance', 'debug_session'],
  ...['search_logs', 'get_log_stats', 'list_patterns', 'describe_logs'],
  'rpc.discover',
]);

/** The gateway answered with an error. */
class RPCError extends Error {
  /** @param {{code: number, message: string, data?: any}} error as the reply has it */
  constructor({ code, message, data }) {
    super(`RPC Error: ${message}`);
    this.name = 'RPCError';
    /** @type {number} */
    this.code = code;
    /** @type {any} */
    this.data = data;
  }
}

/** No answer came, or none that is JSON-RPC: it is not known whether the call was carried out. */
class RPCCallFailed extends Error {
  /**
   * @param {string} why
   * @param {{cause?: unknown, code?: string, status?: number}} [more]
   */
  constructor(why, { cause, code, status } = {}) {
    super(`RPC Call Failed: ${why}`, { cause });
    this.name = 'RPCCallFailed';
    /** @type {string | undefined} such as ECONNREFUSED, ETIMEDOUT or ABORT_ERR */
    this.code = code;
    /** @type {number | undefined} of HTTP */
    this.status = status;
  }
}

/**
 * @typedef {object} ClientOptions
 * @property {number} [timeoutMs] for one attempt; 30,000
 * @property {number} [retries] further attempts, where it is safe; 2
 * @property {AbortSignal} [signal] ends all calls
 * @property {Record<string, string>} [headers] sent along with each call
 * @property {typeof globalThis.fetch} [fetch] used instead of node:http
 */

/**
 * @typedef {object} CallOptions
 * @property {AbortSignal} [signal]
 * @property {number} [timeoutMs] for one attempt
 * @property {number} [retries]
 * @property {boolean} [idempotent] whether it may be sent again; call knows it of the gateway's methods
 */

/** Calls methods of one gateway. */
class JSONRPCClient {
  /**
   * @param {string} endpoint the gateway's root, or the address of its /rpc
   * @param {ClientOptions} [options]
   */
  constructor(endpoint, options = {}) {
    this.endpoint = rpcAddress(endpoint);
    this.timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.retries = options.retries ?? RETRIES;
    this.headers = { ...options.headers, 'content-type': 'application/json' };
    /** @private */
    this._http = options.fetch
      ? postingBy(this.endpoint, options.fetch)
      : postingTo(this.endpoint);
    /** @private */
    this._closing = new AbortController();
    /** @private */
    this._signal = options.signal
      ? AbortSignal.any([options.signal, this._closing.signal])
      : this._closing.signal;
    // each call under way listens
    setMaxListeners(0, this._signal);
    /** @private */
    this._lastId = 0;
    /** Attempts beyond the first, of all calls. */
    this.retried = 0;
  }

  /**
   * Calls a method and gives its result.
   * @param {string} method
   * @param {object} [params] by name, or a list by position
   * @param {CallOptions} [options]
   * @returns {Promise<any>}
   * @throws {RPCError | RPCCallFailed}
   */
  async call(method, params = {}, options = {}) {
    let text;
    try {
      text = JSON.stringify(params);
    } catch (error) {
      const why = `params can't be written as JSON: ${messageOf(error)}`;
      throw new RPCCallFailed(why, { cause: error });
    }
    const idempotent = options.idempotent ?? isRepeatable(method, params);
    return this.callText(method, text, { ...options, idempotent });
  }

  /**
   * As call, with params that are JSON already, in whole or in pieces.
   * @param {string} method
   * @param {string | Array<string | Uint8Array>} params
   * @param {CallOptions} [options]
   * @returns {Promise<any>}
   */
  async callText(method, params, options = {}) {
    const retries = options.idempotent ? (options.retries ?? this.retries) : 0;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this._attempt(method, params, options);
      } catch (error) {
        const wait = attempt < retries ? maybeWait(error, attempt) : null;
        if (wait === null) throw error;
        await this._pause(wait, options.signal);
        this.retried++;
      }
    }
  }

  /** Ends all calls, with an error for those that wait. */
  close() {
    this._closing.abort(new Error('the client is closed'));
    this._http.close();
  }

  /**
   * @param {string} method
   * @param {string | Array<string | Uint8Array>} params
   * @param {CallOptions} options
   * @private
   */
  async _attempt(method, params, { signal, timeoutMs = this.timeoutMs }) {
    const id = ++this._lastId;
    const watch = new Watch([this._signal, signal], timeoutMs);
    try {
      const body = request(method, params, id);
      const answer = await this._http.post(body, this.headers, watch.signal);
      return resultOf(answer, id);
    } catch (error) {
      if (error instanceof RPCError || error instanceof RPCCallFailed) {
        throw error;
      }
      throw watch.explain(error);
    } finally {
      watch.end();
    }
  }

  /**
   * @param {number} ms
   * @param {AbortSignal} [signal]
   * @private
   */
  async _pause(ms, signal) {
    const both = signal
      ? AbortSignal.any([signal, this._signal])
      : this._signal;
    try {
      await sleep(ms, undefined, { signal: both });
    } catch (error) {
      throw aborted(both.reason ?? error);
    }
  }
}

/** Ends an attempt in time, or when a caller's signal says so, and knows which it was. */
class Watch {
  /**
   * @param {Array<AbortSignal | undefined>} signals
   * @param {number} ms
   */
  constructor(signals, ms) {
    this._controller = new AbortController();
    this.signal = this._controller.signal;
    this._ms = ms;
    this._isLate = false;
    this._signals = signals.filter((signal) => signal !== undefined);
    this._timer = setTimeout(() => {
      this._isLate = true;
      this._controller.abort();
    }, ms);
    this._abort = () => {
      const found = this._signals.find((signal) => signal.aborted);
      this._controller.abort(found?.reason);
    };
    for (const signal of this._signals) {
      if (signal.aborted) this._abort();
      // AbortSignal.any keeps what listens to it alive until it is taken off again
      else signal.addEventListener('abort', this._abort);
    }
  }

  /** @param {unknown} error */
  explain(error) {
    if (this._isLate) {
      const why = `no answer within ${this._ms} ms`;
      return new RPCCallFailed(why, { cause: error, code: 'ETIMEDOUT' });
    }
    if (this.signal.aborted) return aborted(this.signal.reason);
    const cause = innermost(error);
    const code = /** @type {{code?: string}} */ (cause).code;
    return new RPCCallFailed(messageOf(cause), { cause: error, code });
  }

  end() {
    clearTimeout(this._timer);
    for (const signal of this._signals) {
      signal.removeEventListener('abort', this._abort);
    }
  }
}

/** @param {string} endpoint */
function rpcAddress(endpoint) {
  let address;
  try {
    address = new URL(endpoint);
  } catch (error) {
    throw new TypeError(
      `endpoint: ${JSON.stringify(endpoint)} is no address; expected one such as http://localhost:8888`,
      { cause: error },
    );
  }
  if (address.pathname === '/') address.pathname = '/rpc';
  return address.href;
}

/**
 * @param {string} method
 * @param {string | Array<string | Uint8Array>} params
 * @param {number} id
 */
function request(method, params, id) {
  const before = `{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)},"params":`;
  if (typeof params === 'string') return `${before}${params}}`;
  const parts = [before, ...params, '}'];
  return Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)),
  );
}

/**
 * Whether a call changes nothing, or its numbers say that it is the same call again.
 * @param {string} method
 * @param {any} params
 */
function isRepeatable(method, params) {
  if (READS.has(method)) return true;
  if (method !== 'log_batch') return false;
  return params?.producer != null && params.sequence != null;
}

/**
 * @param {import('./http-post.js').Answer} answer
 * @param {number} id
 */
function resultOf({ status, text }, id) {
  const reply = maybeJSON(text);
  const isReply = reply?.jsonrpc === '2.0' && (reply.id ?? id) === id;
  if (isReply && reply.error) throw new RPCError(reply.error);
  if (status !== OK) throw refusal(text, status);
  if (isReply && 'result' in reply) return reply.result;
  const shown = text.slice(0, 200).trim();
  throw new RPCCallFailed(
    `the answer is no JSON-RPC reply to this call: ${shown}`,
    { code: 'EPROTO', status },
  );
}

/**
 * @param {string} text
 * @param {number} status
 */
function refusal(text, status) {
  const shown = text.slice(0, 200).trim();
  const why = shown === '' ? `HTTP ${status}` : `HTTP ${status}: ${shown}`;
  return new RPCCallFailed(why, { status });
}

/** @param {string} text */
function maybeJSON(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    return undefined;
  }
}

/**
 * Milliseconds until the next attempt; null when there should be none.
 * @param {unknown} error
 * @param {number} attempt from 0
 */
function maybeWait(error, attempt) {
  const backoff = Math.min(BACKOFF_MS * 2 ** attempt, BACKOFF_MAX_MS);
  // half of it at random, so that clients that failed together don't come together
  const wait = backoff * (0.5 + Math.random() / 2);
  if (error instanceof RPCError) {
    if (error.code === WORKER_ENDED) return wait;
    if (error.code !== BUSY) return null;
    return (error.data?.retry_after_ms ?? 0) + wait;
  }
  return error instanceof RPCCallFailed && isTransient(error) ? wait : null;
}

/** @param {RPCCallFailed} error */
function isTransient({ code, status }) {
  // who gave up waiting would wait once more
  if (code === 'ABORT_ERR' || code === 'ETIMEDOUT') return false;
  if (code === 'EPROTO' || status === undefined) return true;
  return status === 429 || status >= 500;
}

/** @param {unknown} reason */
function aborted(reason) {
  return new RPCCallFailed(messageOf(reason), {
    cause: reason,
    code: 'ABORT_ERR',
  });
}

/**
 * What the system said: fetch hides it in `cause`, and Happy Eyeballs in a list.
 * @param {unknown} error
 * @returns {unknown}
 */
function innermost(error) {
  if (!(error instanceof Error)) return error;
  if (error instanceof AggregateError && error.errors.length > 0) {
    return innermost(error.errors[error.errors.length - 1]);
  }
  return error.cause instanceof Error ? innermost(error.cause) : error;
}

/** @param {unknown} error */
function messageOf(error) {
  if (!(error instanceof Error)) return String(error);
  return error.message || /** @type {any} */ (error).code || error.name;
}

module.exports = { JSONRPCClient, RPCError, RPCCallFailed };
