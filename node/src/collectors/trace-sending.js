'use strict';

/**
 * The header `traceparent` of requests to other services, sent by itself.
 *
 * Off unless it is asked for: the ids would also go to services of others.
 *
 * @module
 */

const diagnostics = require('node:diagnostics_channel');
const http = require('node:http');
const https = require('node:https');
const { syncBuiltinESMExports } = require('node:module');

const { traceparent } = require('./trace.js');

const HEADER = 'traceparent';
/** Told of each request of fetch, before it is sent. */
const FETCHED = 'undici:request:create';

/**
 * @typedef {object} SendingOptions
 * @property {string[]} [hosts] names of the hosts, without ports, that get the header; all of them
 */

/**
 * Requests of `node:http`, `node:https` and `fetch` have the trace that they are made for.
 * One that has the header is left as it is.
 * @param {SendingOptions} [options]
 * @returns {() => void} ends it
 */
function sendTraceparent({ hosts } = {}) {
  const wanted = hosts && new Set(hosts.map((host) => host.toLowerCase()));
  const isWanted = (/** @type {string} */ host) =>
    wanted === undefined || wanted.has(host.toLowerCase());
  const undo = [http, https].map((target) => wrap(target, isWanted));
  syncBuiltinESMExports();
  const listener = (/** @type {any} */ message) => {
    const { request } = message;
    const header = traceparent();
    if (header === undefined || hasHeader(request.headers)) return;
    if (isWanted(new URL(request.origin).hostname)) {
      request.addHeader(HEADER, header);
    }
  };
  diagnostics.subscribe(FETCHED, listener);
  return () => {
    for (const each of undo) each();
    syncBuiltinESMExports();
    diagnostics.unsubscribe(FETCHED, listener);
  };
}

/**
 * @param {any} target a module
 * @param {(host: string) => boolean} isWanted
 * @returns {() => void}
 */
function wrap(target, isWanted) {
  const { request, get } = target;
  /** @type {(...given: any[]) => http.ClientRequest} */
  const traced = (...given) => {
    const outgoing = request(...given);
    const header = traceparent();
    if (header === undefined) return outgoing;
    // headers that were given as a list are on their way
    if (outgoing.headersSent || outgoing.hasHeader(HEADER)) return outgoing;
    if (isWanted(hostOf(outgoing))) outgoing.setHeader(HEADER, header);
    return outgoing;
  };
  /** @type {(...given: any[]) => http.ClientRequest} */
  const tracedGet = (...given) => {
    const outgoing = traced(...given);
    outgoing.end();
    return outgoing;
  };
  Object.assign(target, { request: traced, get: tracedGet });
  return () => {
    if (target.request === traced) target.request = request;
    if (target.get === tracedGet) target.get = get;
  };
}

/** @param {http.ClientRequest} outgoing */
function hostOf(outgoing) {
  return outgoing.host ?? '';
}

/**
 * @param {string | string[] | undefined} headers as the version of undici has them
 */
function hasHeader(headers) {
  if (typeof headers === 'string') return /^traceparent:/im.test(headers);
  return (
    Array.isArray(headers) &&
    headers.some((name) => String(name).toLowerCase() === HEADER)
  );
}

module.exports = { sendTraceparent };
