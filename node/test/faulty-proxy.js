'use strict';

/** A proxy before the gateway that does to its connections what networks do. */

const { once } = require('node:events');
const net = require('node:net');

const BUSY_PAGE =
  'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\n\r\nbusy\n';

/**
 * Fault | what becomes of a request
 * `none` passed on | `hang` swallowed | `reset` the connection is reset |
 * `busy` 503 | `half` it is carried out, half of the answer comes | `mute` carried out, no answer
 * @typedef {'none' | 'hang' | 'reset' | 'busy' | 'half' | 'mute'} Fault
 */

class FaultyProxy {
  /** @param {number} port of the gateway */
  constructor(port) {
    /** @type {Fault} */
    this.fault = 'none';
    this.connections = 0;
    this._port = port;
    /** @type {Set<net.Socket>} */
    this._sockets = new Set();
    this._server = net.createServer((socket) => this._accept(socket));
  }

  async start() {
    this._server.listen(0, '127.0.0.1');
    await once(this._server, 'listening');
    const { port } = /** @type {net.AddressInfo} */ (this._server.address());
    this.url = `http://127.0.0.1:${port}`;
    return this;
  }

  async close() {
    this.reset();
    this._server.close();
  }

  /** Cuts all connections. */
  reset() {
    for (const socket of this._sockets) socket.resetAndDestroy();
  }

  /** @param {net.Socket} client */
  _accept(client) {
    this.connections++;
    const gateway = net.connect(this._port, '127.0.0.1');
    for (const socket of [client, gateway]) {
      this._sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this._sockets.delete(socket);
        client.destroy();
        gateway.destroy();
      });
    }
    client.on('data', (bytes) => this._request(client, gateway, bytes));
    gateway.on('data', (bytes) => this._reply(client, bytes));
  }

  /**
   * @param {net.Socket} client
   * @param {net.Socket} gateway
   * @param {Buffer} bytes
   */
  _request(client, gateway, bytes) {
    if (this.fault === 'hang') return;
    if (this.fault === 'reset') client.resetAndDestroy();
    else if (this.fault === 'busy') client.end(BUSY_PAGE);
    else gateway.write(bytes);
  }

  /**
   * @param {net.Socket} client
   * @param {Buffer} bytes
   */
  _reply(client, bytes) {
    if (this.fault === 'none') client.write(bytes);
    if (this.fault === 'half') {
      client.end(bytes.subarray(0, bytes.length / 2));
    }
  }
}

module.exports = { FaultyProxy };
