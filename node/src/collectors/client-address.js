'use strict';

/**
 * Who has sent a request, when proxies stand before this server.
 *
 * @module
 */

const { isIP } = require('node:net');

/** IPv4 as a socket that listens on IPv6 has it. */
const MAPPED = '::ffff:';

/**
 * @param {string | undefined} address
 * @returns {string | undefined}
 */
function plainAddress(address) {
  return address?.startsWith(MAPPED) ? address.slice(MAPPED.length) : address;
}

/**
 * The client's address: each trusted proxy vouches for one more of X-Forwarded-For,
 * from its right. What stands left of those a client can have written itself.
 * @param {string | undefined} remote address of the connection
 * @param {string | string[] | undefined} forwarded the header X-Forwarded-For
 * @param {number} trustedProxies
 * @returns {string | undefined}
 */
function clientAddress(remote, forwarded, trustedProxies) {
  let client = plainAddress(remote);
  if (trustedProxies <= 0 || forwarded === undefined) return client;
  const hops = String(forwarded).slice(-4096).split(',');
  for (
    let proxies = trustedProxies;
    proxies > 0 && hops.length > 0;
    proxies -= 1
  ) {
    const hop = addressOf(/** @type {string} */ (hops.pop()));
    if (hop === undefined) break;
    client = hop;
  }
  return client;
}

/**
 * An address that may have a port, and brackets for it.
 * @param {string} text
 * @returns {string | undefined} undefined when it is none
 */
function addressOf(text) {
  const hop = text.trim();
  const found =
    /^\[([^\]]+)\](?::\d+)?$/.exec(hop) ?? /^([\d.]+):\d+$/.exec(hop);
  const address = found === null ? hop : found[1];
  return isIP(address) === 0 ? undefined : plainAddress(address);
}

module.exports = { clientAddress };
