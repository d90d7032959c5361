'use strict';

/**
 * What an entry of a request says.
 *
 * @module
 */

const { isRecord, milliseconds } = require('./collector.js');
const { bodyText } = require('./http-bodies.js');
const { Line } = require('./http-line.js');
const { cut, describe } = require('./redact.js');

const MAX_USER_AGENT = 256;

/** Tags by the hundreds of a status: entries share them. */
const TAGS = ['0xx', '1xx', '2xx', '3xx', '4xx', '5xx'].map((name) => [
  'http',
  name,
]);
const ABORTED_TAGS = ['http', '4xx', 'aborted'];

/**
 * @typedef {import('./http-exchange.js').Exchange} Exchange
 * @typedef {import('./redact.js').Redactor} Redactor
 */

/**
 * @param {Exchange} exchange
 * @param {string} path as it may be logged
 * @param {number} status
 * @param {string | undefined} ip
 * @returns {Record<string, unknown>}
 */
function fieldsOf(exchange, path, status, ip) {
  const { request, response, trace } = exchange;
  const method = request.method ?? 'GET';
  const userAgent = request.headers?.['user-agent'];
  const route = routeOf(exchange);
  /** @type {Record<string, unknown>} */
  const metadata = {
    method,
    path,
    status,
    duration_ms: milliseconds(performance.now() - exchange.since),
  };
  if (ip !== undefined) metadata.ip = ip;
  if (userAgent !== undefined) {
    metadata.user_agent = cut(userAgent, MAX_USER_AGENT);
  }
  if (response !== undefined) {
    metadata.content_length = hasBody(method, status)
      ? exchange.tally.bytes
      : 0;
  }
  if (route !== undefined) metadata.route = route;
  if (trace.parentSpanId !== undefined) {
    metadata.parent_span_id = trace.parentSpanId;
  }
  return metadata;
}

/**
 * @param {string} method
 * @param {number} status
 */
function hasBody(method, status) {
  return method !== 'HEAD' && status !== 204 && status !== 304;
}

/**
 * The pattern that the path has matched, where a framework has one: `/users/:id`.
 * @param {Exchange} exchange
 * @returns {string | undefined}
 */
function routeOf({ request, tally }) {
  if (tally.route !== undefined) return tally.route;
  const path = request.route?.path;
  if (typeof path !== 'string') return undefined;
  return request.baseUrl ? `${request.baseUrl}${path}` : path;
}

/**
 * @param {Record<string, unknown>} metadata
 * @param {Exchange} exchange
 */
function addAbort(metadata, { response }) {
  metadata.aborted = true;
  if (response?.headersSent) metadata.sent_status = response.statusCode;
}

/**
 * @param {Record<string, unknown>} metadata
 * @param {any} error
 * @param {Redactor} redactor
 */
function addError(metadata, error, redactor) {
  const message = isRecord(error) ? error.message : error;
  metadata.error = redactor.text(
    typeof message === 'string' ? message : describe(error),
  );
  if (!isRecord(error)) return;
  if (typeof error.name === 'string') metadata.error_type = error.name;
  if (typeof error.code === 'string') metadata.error_code = error.code;
  if (typeof error.stack === 'string') {
    metadata.stack = redactor.text(error.stack);
  }
}

/**
 * @param {Record<string, unknown>} metadata
 * @param {Exchange} exchange
 * @param {Redactor} redactor
 */
function addBodies(metadata, { request, response, received, tally }, redactor) {
  const body = bodyText(redactor, received, request.headers, request.body);
  if (body !== undefined) metadata.body = body;
  const headers = response?.getHeaders?.() ?? {};
  const responseBody = bodyText(redactor, tally.body, headers);
  if (responseBody !== undefined) metadata.response_body = responseBody;
}

/**
 * Whether the server had an error and could not send all of its response.
 * @param {Exchange} exchange
 */
function isBroken({ tally, response }) {
  return tally.error !== undefined && response?.writableFinished !== true;
}

/**
 * @param {number} status
 * @param {boolean} aborted
 * @returns {string[]}
 */
function tagsOf(status, aborted) {
  if (aborted) return ABORTED_TAGS;
  return TAGS[Math.floor(status / 100)] ?? TAGS[0];
}

/**
 * A usual request that has ended; null for one that has more to say.
 * @param {import('./http-collector.js').HTTPCollector} collector
 * @param {Exchange} exchange
 * @param {number} status
 * @param {string} level
 * @param {string | undefined} ip
 */
function maybeLine(collector, exchange, status, level, ip) {
  const { request, response, tally } = exchange;
  if (response === undefined || !Number.isInteger(status)) return null;
  if (tally.error !== undefined || tally.body !== undefined) return null;
  const length = hasBody(request.method ?? 'GET', status) ? tally.bytes : 0;
  const route = routeOf(exchange);
  return new Line(collector, exchange, { level, status, length, ip, route });
}

module.exports = {
  addAbort,
  addBodies,
  addError,
  fieldsOf,
  isBroken,
  maybeLine,
  tagsOf,
};
