'use strict';

/**
 * The JSON of a usual request's entry, written piece by piece: a third of what it takes
 * to make the maps, have JSON.stringify write them, and look through the text for secrets.
 *
 * @module
 */

const { milliseconds } = require('./collector.js');
const { cut } = require('./redact.js');

/** What JSON has to escape, and half of a character in two parts. */
// eslint-disable-next-line no-control-regex
const ODD = /["\\\u0000-\u001f\ud800-\udfff]/;

const MAX_PATH = 1024;
const MAX_USER_AGENT = 256;

/** Of statuses by their hundreds. */
const TAGS = ['0xx', '1xx', '2xx', '3xx', '4xx', '5xx'].map(
  (name) => `"tags":["http","${name}"]`,
);

/**
 * As JSON.stringify, without the quotes.
 * @param {string} text
 */
function escaped(text) {
  if (!ODD.test(text)) return text;
  // @ts-expect-error: in Node as of 20, in TypeScript's libraries as of es2024
  return JSON.stringify(text.toWellFormed()).slice(1, -1);
}

/** What is noted of a request that has ended; its JSON is written later, with that of others. */
class Line {
  /**
   * @param {import('./http-collector.js').HTTPCollector} collector
   * @param {import('./http-exchange.js').Exchange} exchange
   * @param {{level: string, status: number, length: number, ip?: string, route?: string}} more
   */
  constructor(collector, exchange, { level, status, length, ip, route }) {
    const { request } = exchange;
    this.level = level;
    this._collector = collector;
    /** @type {string} */
    this._method = request.method ?? 'GET';
    this._path = exchange.path;
    this._status = status;
    this._duration = performance.now() - exchange.since;
    this._ip = ip;
    this._userAgent = request.headers?.['user-agent'];
    this._length = length;
    this._route = route;
    this._trace = exchange.trace;
  }

  /**
   * An entry as JSON, with the bracket that ends it and without the first.
   * @returns {string}
   */
  fields() {
    const { redactor, source } = this._collector;
    const status = this._status;
    const method = escaped(this._method);
    const path = escaped(redactor.text(this._path, MAX_PATH));
    let text =
      `"source":"${escaped(source)}","level":"${escaped(this.level)}",` +
      `"message":"${method} ${path} - ${status}",` +
      `"metadata":{"method":"${method}","path":"${path}","status":${status},` +
      `"duration_ms":${milliseconds(this._duration)}`;
    if (this._ip !== undefined) text += `,"ip":"${escaped(this._ip)}"`;
    if (this._userAgent !== undefined) {
      const userAgent = redactor.masked(cut(this._userAgent, MAX_USER_AGENT));
      text += `,"user_agent":"${escaped(userAgent)}"`;
    }
    text += `,"content_length":${this._length}`;
    if (this._route !== undefined) {
      text += `,"route":"${escaped(redactor.masked(this._route))}"`;
    }
    const { parentSpanId, traceId } = this._trace;
    if (parentSpanId !== undefined) {
      text += `,"parent_span_id":"${parentSpanId}"`;
    }
    const tags = TAGS[Math.floor(status / 100)] ?? TAGS[0];
    return `${text}},${tags},"trace_id":"${traceId}"}`;
  }
}

/** What its entry is made of, for rules that name fields. */
const NAMES = [
  ...['message', 'metadata', 'method', 'path', 'status', 'duration_ms', 'ip'],
  ...['user_agent', 'content_length', 'route', 'parent_span_id', 'tags'],
];

/**
 * Whether the rules leave its fields as they are, but for what is masked here.
 * @param {import('./redaction-rules.js').Rules} rules
 */
function isUsual(rules) {
  const isNamed = (/** @type {string} */ name) =>
    rules.hides(name) !== null || rules.spares(name);
  return !rules.hasOwn && !NAMES.some(isNamed);
}

module.exports = { Line, isUsual };
