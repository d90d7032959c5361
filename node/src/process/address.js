'use strict';

/** Addresses that a server listens on, but that nobody can connect to. */
const ANY = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);

/**
 * The gateway's root as a client opens it.
 * @param {string} host
 * @param {number} port
 */
function urlOf(host, port) {
  const reachable = ANY.get(host) ?? host;
  const written = reachable.includes(':') ? `[${reachable}]` : reachable;
  return `http://${written}:${port}`;
}

module.exports = { urlOf };
