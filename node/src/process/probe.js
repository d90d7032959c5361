'use strict';

const http = require('node:http');

/**
 * What is at the gateway's address: nobody (`absent`), a pipeline (`ready`, `starting`), one
 * that accepts and says nothing (`silent`), something else (`foreign`), or no such host.
 * @typedef {{
 *   state: 'absent' | 'starting' | 'ready' | 'silent' | 'foreign' | 'unreachable',
 *   detail: string,
 * }} Found
 */

const BODY_BYTES = 65_536;

/** @type {Record<string, Found['state']>} */
const STATE_OF_CODE = {
  ECONNREFUSED: 'absent',
  ECONNRESET: 'silent',
  EPIPE: 'silent',
  ETIMEDOUT: 'silent',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
  EADDRNOTAVAIL: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
};

/**
 * Ask /health/ready once. Never rejects.
 * @param {string} url the gateway's root
 * @param {{timeoutMs?: number, background?: boolean}} [options] `background`: the process
 *   may end while it waits
 * @returns {Promise<Found>}
 */
function probe(url, { timeoutMs = 1000, background = false } = {}) {
  return new Promise((resolve) => {
    const request = http.get(`${url}/health/ready`, { agent: false });
    const timer = setTimeout(() => {
      resolve({ state: 'silent', detail: `no answer in ${timeoutMs} ms` });
      request.destroy();
    }, timeoutMs);
    request.on('socket', (socket) => {
      if (background) socket.unref();
    });
    if (background) timer.unref();
    /** @param {Found} found */
    const settle = (found) => {
      clearTimeout(timer);
      resolve(found);
      request.destroy();
    };
    request.on('error', (error) => settle(ofError(error)));
    request.on('response', (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (/** @type {string} */ piece) => {
        body += piece;
        if (body.length > BODY_BYTES) settle(ofReply(response, body));
      });
      response.on('end', () => settle(ofReply(response, body)));
      response.on('error', (error) => settle(ofError(error)));
    });
  });
}

/**
 * @param {Error & {code?: string, errors?: Array<{code?: string}>}} error
 * @returns {Found}
 */
function ofError(error) {
  const codes = [error.code, ...(error.errors ?? []).map((each) => each.code)];
  // localhost is two addresses: refused by both, or by one while the other isn't there
  if (codes.includes('ECONNREFUSED'))
    return { state: 'absent', detail: 'ECONNREFUSED' };
  const code = error.code ?? error.message;
  return { state: STATE_OF_CODE[code] ?? 'foreign', detail: code };
}

/**
 * @param {http.IncomingMessage} response
 * @param {string} body
 * @returns {Found}
 */
function ofReply(response, body) {
  const reply = parsed(body);
  // a gateway that wants tokens tells no reasons
  const reasons = reply?.reasons ?? [];
  if (typeof reply?.ready === 'boolean' && Array.isArray(reasons)) {
    const state = reply.ready ? 'ready' : 'starting';
    return { state, detail: reasons.join(', ') };
  }
  const server = response.headers.server ?? response.headers['x-powered-by'];
  const who = server === undefined ? '' : ` from ${server}`;
  return {
    state: 'foreign',
    detail: `HTTP ${response.statusCode}${who} for /health/ready`,
  };
}

/** @param {string} body */
function parsed(body) {
  try {
    return JSON.parse(body);
  } catch (error) {
    return null;
  }
}

module.exports = { probe };
