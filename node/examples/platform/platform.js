'use strict';

/**
 * A platform as it is wired in production: an Express server, an MCP server, WebSockets
 * and AI workers, with the log system beside them.
 *
 * The log system is started last and in the background: the platform serves without it.
 * Entries wait until it is there, then they are sent. When the platform ends it closes its
 * server, lets the collectors say what has not ended, and then stops the log system, which
 * sends what it still has.
 *
 * @module
 */

const { EventEmitter, once } = require('node:events');
const http = require('node:http');
const { WebSocketServer } = require('ws');

const { RecursiveCollectors, createLogSystem, currentTrace } = load();
const { AiWorker } = require('./ai-worker.js');
const { Database } = require('./database.js');
const { McpServer } = require('./mcp-server.js');
const { routes } = require('./routes.js');

/** In a program of your own: require('@recursive/log-system'). */
function load() {
  return {
    ...require('../../src/index.js'),
    ...require('../../src/collectors/trace.js'),
  };
}

/** All parts, from start() to stop(). */
class Platform {
  /**
   * @param {Record<string, any>} [options]
   * @param {Record<string, any> | string} [options.logSystem] what createLogSystem() takes
   * @param {Record<string, string>} [options.dependencies] addresses by name
   */
  constructor({ logSystem, dependencies = {} } = {}) {
    this.bus = new EventEmitter();
    this.logger = new EventEmitter();
    this.logSystem = createLogSystem(logSystem);
    this.collectors = new RecursiveCollectors(this.logSystem, {
      eventBus: this.bus,
    });
    this.dependencies = dependencies;
    this.database = this.collectors.wrapDatabase(new Database());
    this.mcp = new McpServer(this.bus);
    this.worker = new AiWorker(this.bus, this.collectors);
    /** What a deployment changes. */
    this.release = { price: (/** @type {any} */ _item) => 10 };
    this.server = http.createServer(routes(this));
    this.sockets = new WebSocketServer({ server: this.server, path: '/live' });
    this.port = 0;
  }

  /**
   * Serve; the log system follows.
   * @param {number} [port] 0 for any
   */
  async start(port = 0) {
    this.collectors.startLogger(this.logger);
    this.collectors.startWebSocketCollector().attach(this.sockets);
    await this.collectors.start();
    this.sockets.on('connection', (socket) => {
      socket.on('message', (data) => socket.send(`echo ${data}`));
      socket.on('error', () => {}); // it is closed then, which is logged
    });
    this.server.listen(port, '127.0.0.1');
    await once(this.server, 'listening');
    ({ port: this.port } = /** @type {import('node:net').AddressInfo} */ (
      this.server.address()
    ));
    this.logger.emit('log', 'info', 'platform started', { port: this.port });
    this.startLogSystem();
    return this;
  }

  /** It may fail: it goes on looking for a pipeline, and entries wait meanwhile. */
  startLogSystem() {
    this.logSystem.on('warning', () => {});
    this.logSystem.start().catch((/** @type {Error} */ error) => {
      this.logger.emit('log', 'warn', `log system: ${error.message}`);
    });
  }

  /**
   * Ask a service that the platform needs.
   * @param {string} name
   * @param {string} id
   */
  async dependency(name, id) {
    const address = this.dependencies[name];
    try {
      const headers = { traceparent: currentTrace()?.traceparent ?? '' };
      const reply = await fetch(`${address}/${id}`, { headers });
      if (!reply.ok) throw new Error(`answered ${reply.status}`);
      return await reply.json();
    } catch (error) {
      const { cause, message } = /** @type {any} */ (error);
      const why = cause?.code ?? cause?.message ?? message;
      const failure = new Error(`dependency ${name} failed: ${why}`);
      throw Object.assign(failure, { status: 502, cause: error });
    }
  }

  /** Nothing that was logged is lost: the order of these lines is what it takes. */
  async stop() {
    for (const socket of this.sockets.clients) socket.close(1001);
    this.sockets.close();
    this.server.close();
    this.server.closeIdleConnections();
    if (this.server.listening) await once(this.server, 'close');
    this.logger.emit('log', 'info', 'platform stopped');
    await this.collectors.stop();
    await this.logSystem.stop();
  }
}

module.exports = { Platform };
