'use strict';

/**
 * WebSocket connections of the platform: events of the bus, or a server of `ws`.
 *
 * @module
 */

const { errorMonitor } = require('node:events');

const {
  Collector,
  field,
  known,
  milliseconds,
  number,
  word,
} = require('./collector.js');
const { parseTraceparent, newSpanId, currentTraceId } = require('./trace.js');

/** Connections whose messages are counted; those beyond it are logged without counts. */
const MAX_CONNECTIONS = 100_000;

/** What RFC 6455 calls an orderly end: normal closure, and a page that was left. */
const ORDERLY = new Set([1000, 1001, 1005]);

/**
 * @typedef {object} Connection
 * @property {number} since
 * @property {number} messages
 * @property {number} bytes
 */

/**
 * Logs connections and their ends, and with `log_messages` each message's type and size.
 *
 * `websocket:connection`: {connection_id, ip, user_agent}; `websocket:message`:
 * {connection_id, type, size}; `websocket:close`: {connection_id, code, reason};
 * `websocket:error`: {connection_id, error}.
 */
class WebSocketCollector extends Collector {
  /** @override */
  static section = 'recursive_websocket';

  /**
   * @param {import('./collector.js').LogSystem} logSystem
   * @param {import('./collector.js').CollectorOptions & {now?: () => number}} [options]
   */
  constructor(logSystem, options = {}) {
    super(logSystem, options);
    Object.assign(this._counts, {
      connections: 0,
      messages: 0,
      bytes: 0,
      closed: 0,
    });
    this._now = options.now ?? (() => performance.now());
    /** @type {Map<string, Connection>} */
    this._open = new Map();
  }

  /**
   * @override
   * @returns {Record<string, number>}
   */
  get counters() {
    return { ...super.counters, open: this._open.size };
  }

  /** @override */
  _listen() {
    this._on({
      'websocket:connection': (event) => this._connection(event),
      'websocket:message': (event) => this._message(event),
      'websocket:close': (event) => this._close(event),
      'websocket:disconnect': (event) => this._close(event),
      'websocket:error': (event) => this._error(event),
    });
    this._undo.push(() => this._open.clear());
  }

  /**
   * Follow a server of `ws`: no event of the bus is needed.
   * @param {{on: Function, off: Function}} server
   * @returns {this}
   */
  attach(server) {
    this.start();
    if (!this.isStarted) return this;
    const accept = (/** @type {any} */ socket, /** @type {any} */ request) =>
      this._guard(() => this._follow(socket, request));
    server.on('connection', accept);
    this._undo.push(() => server.off('connection', accept));
    return this;
  }

  /**
   * @param {any} socket
   * @param {import('node:http').IncomingMessage} request
   */
  _follow(socket, request) {
    const connection_id = newSpanId();
    const { traceparent, 'user-agent': user_agent } = request.headers;
    const trace_id = parseTraceparent(traceparent)?.traceId;
    const ip = request.socket.remoteAddress;
    const path = request.url;
    this._connection({ connection_id, ip, user_agent, path, trace_id });
    /** @type {(listen: () => void) => void} */
    const told = (listen) => {
      if (this.isStarted) this._guard(listen);
    };
    socket.on('message', (/** @type {any} */ data, /** @type {any} */ binary) =>
      told(() => {
        const type = binary ? 'binary' : 'text';
        this._message({ connection_id, type, size: sizeOf(data), trace_id });
      }),
    );
    socket.on('close', (/** @type {number} */ code, /** @type {any} */ text) =>
      told(() => {
        const reason = String(text ?? '');
        this._close({ connection_id, code, reason, trace_id });
      }),
    );
    // a plain listener would keep an error that nobody handles from being thrown
    socket.on(errorMonitor, (/** @type {Error} */ error) =>
      told(() => this._error({ connection_id, error, trace_id })),
    );
  }

  /**
   * @param {Record<string, any>} event
   */
  _connection(event) {
    this._counts.connections += 1;
    const id = idOf(event);
    if (id !== undefined && this._open.size < MAX_CONNECTIONS) {
      this._open.set(id, { since: this._now(), messages: 0, bytes: 0 });
    }
    this._log(
      'INFO',
      'WebSocket connected',
      known({
        event: 'connection',
        connection_id: id,
        ip: word(field(event, 'ip', 'remote_address', 'remoteAddress')),
        user_agent: this._text(field(event, 'user_agent', 'userAgent')),
        path: this._text(event.path),
      }),
      ['websocket', 'connection'],
      traceOf(event),
    );
  }

  /**
   * @param {Record<string, any>} event
   */
  _message(event) {
    const id = idOf(event);
    const size = number(event.size) ?? sizeOf(field(event, 'data', 'message'));
    this._counts.messages += 1;
    this._counts.bytes += size ?? 0;
    const connection = id === undefined ? undefined : this._open.get(id);
    if (connection !== undefined) {
      connection.messages += 1;
      connection.bytes += size ?? 0;
    }
    if (this.config.log_messages === false) return;
    this._log(
      'DEBUG',
      'WebSocket message',
      known({
        event: 'message',
        type: word(event.type),
        size,
        connection_id: id,
      }),
      ['websocket', 'message'],
      traceOf(event),
    );
  }

  /**
   * @param {Record<string, any>} event
   */
  _close(event) {
    this._counts.closed += 1;
    const id = idOf(event);
    const connection = id === undefined ? undefined : this._open.get(id);
    if (id !== undefined) this._open.delete(id);
    const code = number(event.code);
    this._log(
      code === undefined || ORDERLY.has(code) ? 'INFO' : 'WARN',
      'WebSocket closed',
      known({
        event: 'close',
        connection_id: id,
        code,
        reason: this._text(event.reason),
        duration_ms:
          connection === undefined
            ? undefined
            : milliseconds(this._now() - connection.since),
        messages: connection?.messages,
        bytes: connection?.bytes,
      }),
      ['websocket', 'close'],
      traceOf(event),
    );
  }

  /**
   * @param {Record<string, any>} event
   */
  _error(event) {
    const error = event.error ?? event.message;
    this._log(
      'ERROR',
      'WebSocket failed',
      known({
        event: 'error',
        connection_id: idOf(event),
        error: this._text(error?.message ?? error),
        error_code: word(error?.code),
      }),
      ['websocket', 'error'],
      traceOf(event),
    );
  }

  /**
   * @param {unknown} value
   * @returns {string | undefined}
   */
  _text(value) {
    return value === undefined || value === null || value === ''
      ? undefined
      : this.redactor.text(value, 512);
  }
}

/**
 * @param {Record<string, any>} event
 */
function idOf(event) {
  return word(field(event, 'connection_id', 'connectionId', 'id'));
}

/**
 * @param {Record<string, any>} event
 */
function traceOf(event) {
  return word(field(event, 'trace_id', 'traceId')) ?? currentTraceId();
}

/**
 * Bytes of a message, as `ws` has it: text, a buffer, or pieces of one.
 * @param {any} data
 * @returns {number | undefined}
 */
function sizeOf(data) {
  if (typeof data === 'string') return Buffer.byteLength(data);
  if (Array.isArray(data))
    return data.reduce((sum, part) => sum + (sizeOf(part) ?? 0), 0);
  return number(data?.byteLength);
}

module.exports = { WebSocketCollector };
