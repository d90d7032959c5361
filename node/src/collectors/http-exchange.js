'use strict';

/**
 * One request and its response, followed until it has ended.
 *
 * It stands in the way of every request, so nothing is put onto the response: `write` and
 * `end` replaced on each took 15 us of an Express request of 90. They are counted on the
 * prototype, once for the process, while a collector is started.
 *
 * @module
 */

const http = require('node:http');
const { Socket } = require('node:net');

const { BodyCapture } = require('./http-bodies.js');
const { storage, parseTraceparent, Trace } = require('./trace.js');

/**
 * @typedef {import('node:http').IncomingMessage & Record<string | symbol, any>} Request
 * @typedef {import('node:http').ServerResponse & Record<string | symbol, any>} Response
 */

/** What is known of a response from outside. */
class Tally {
  constructor() {
    /** Bytes of the body, as they were written. */
    this.bytes = 0;
    /** Whether end() was called: HTTP/2's writes by write(). */
    this.isEnding = false;
    /** @type {unknown} what was passed to next() */
    this.error = undefined;
    /** @type {string | undefined} */
    this.route = undefined;
    /** @type {BodyCapture | undefined} */
    this.body = undefined;
  }

  /**
   * @param {unknown} chunk
   * @param {unknown} encoding
   */
  count(chunk, encoding) {
    if (typeof chunk === 'string') {
      this.bytes += Buffer.byteLength(chunk, encodingOf(encoding));
    } else if (ArrayBuffer.isView(chunk)) this.bytes += chunk.byteLength;
    else return;
    this.body?.add(chunk, encoding);
  }
}

const TALLY = Symbol('tally');

/** Tallies by their response, which has them: a WeakMap keeps the collector of garbage busy. */
const tallies = {
  /**
   * @param {any} response
   * @returns {Tally | undefined}
   */
  get: (response) => response?.[TALLY],
  /**
   * @param {any} response
   * @param {Tally} tally
   */
  set: (response, tally) => {
    response[TALLY] = tally;
  },
};

/** What AsyncLocalStorage carries while a request is handled. */
class Exchange {
  /**
   * @param {import('./http-collector.js').HTTPCollector} collector
   * @param {Request} request
   * @param {Response | undefined} response none for an upgrade
   * @param {string} path
   */
  constructor(collector, request, response, path) {
    this.collector = collector;
    this.request = request;
    this.response = response;
    this.path = path;
    this.since = performance.now();
    /** @type {Trace | undefined} */
    this._trace = undefined;
    // a socket that is closed has no address: Node keeps the one that was asked for
    this.remote = request.socket?.remoteAddress;
    this.tally = new Tally();
    this.isDone = false;
    /** @type {BodyCapture | undefined} */
    this.received = undefined;
  }

  /** Made when it is first asked for. */
  get trace() {
    this._trace ??=
      parseTraceparent(this.request.headers?.traceparent) ?? new Trace();
    return this._trace;
  }

  /** Follow the response, and the body of the request. */
  follow() {
    const response = /** @type {Response} */ (this.response);
    tallies.set(response, this.tally);
    if (!(response instanceof http.ServerResponse)) count(response);
    response.on('close', () => this.ended(isWhole(response)));
    // on a connection `close` follows at once; what imitates a response may have but this
    if (!(response.socket instanceof Socket)) {
      response.on('finish', () => this.ended(true));
    }
    const isCaptured = this.collector.config.capture_body === true;
    if (isCaptured) this.tally.body = new BodyCapture();
    if (mayHaveBody(this.request.headers)) this._followBody(isCaptured);
  }

  /**
   * What reads the body is called by the connection: that has no trace of its own.
   * @param {boolean} isCaptured
   */
  _followBody(isCaptured) {
    const { request } = this;
    const { emit } = request;
    if (isCaptured) this.received = new BodyCapture();
    /** @type {any} */
    const traced = (
      /** @type {string} */ event,
      /** @type {any[]} */ ...values
    ) => {
      if (event === 'data') this.received?.add(values[0], undefined);
      return storage.run(this, () => emit.call(request, event, ...values));
    };
    request.emit = traced;
  }

  /** @param {boolean} whole whether all of the response has been sent */
  ended(whole) {
    if (this.isDone) return;
    this.isDone = true;
    this.collector.record(this, whole);
  }
}

/**
 * Whether all of it was sent: HTTP/2's calls a stream that was reset finished.
 * @param {Response} response
 */
function isWhole({ writableFinished, stream }) {
  return writableFinished === true && !stream?.rstCode;
}

/**
 * @param {unknown} encoding
 * @returns {BufferEncoding | undefined}
 */
function encodingOf(encoding) {
  return typeof encoding === 'string'
    ? /** @type {BufferEncoding} */ (encoding)
    : undefined;
}

/**
 * @param {Record<string, unknown>} [headers]
 */
function mayHaveBody(headers = {}) {
  const length = headers['content-length'];
  return (
    (length !== undefined && length !== '0') ||
    headers['transfer-encoding'] !== undefined
  );
}

/**
 * Count what `write` and `end` of a response or of a prototype are given.
 * @param {any} target
 * @returns {() => void} undoes it
 */
function count(target) {
  const own = Object.getOwnPropertyDescriptors(target);
  const { write, end } = target;
  /**
   * @this {any}
   * @param {any} chunk
   * @param {any} encoding
   * @param {any} callback
   */
  function countedWrite(chunk, encoding, callback) {
    const tally = tallies.get(this);
    if (tally !== undefined && !tally.isEnding) tally.count(chunk, encoding);
    return write.call(this, chunk, encoding, callback);
  }
  /**
   * @this {any}
   * @param {any} chunk
   * @param {any} encoding
   * @param {any} callback
   */
  function countedEnd(chunk, encoding, callback) {
    const tally = tallies.get(this);
    if (tally !== undefined && !tally.isEnding) {
      tally.count(chunk, encoding);
      tally.isEnding = true;
    }
    return end.call(this, chunk, encoding, callback);
  }
  if (typeof write === 'function') target.write = countedWrite;
  if (typeof end === 'function') target.end = countedEnd;
  return () => {
    restore(target, 'write', countedWrite, own.write);
    restore(target, 'end', countedEnd, own.end);
  };
}

/**
 * @param {any} target
 * @param {string} name
 * @param {Function} counted
 * @param {PropertyDescriptor | undefined} own
 */
function restore(target, name, counted, own) {
  if (target[name] !== counted) return; // somebody else has replaced it since
  if (own === undefined) delete target[name];
  else Object.defineProperty(target, name, own);
}

let users = 0;
/** @type {() => void} */
let uncount = () => {};

/**
 * Count what responses of this process send, until the last who asked has let go.
 * @returns {() => void} lets go
 */
function countResponses() {
  if (users === 0) uncount = count(http.ServerResponse.prototype);
  users += 1;
  return () => {
    users -= 1;
    if (users === 0) uncount();
  };
}

module.exports = { Exchange, countResponses, tallies };
