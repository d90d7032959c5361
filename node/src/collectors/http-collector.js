'use strict';

/**
 * Requests of an HTTP server, each once, when it has ended.
 *
 * @module
 */

const { clientAddress } = require('./client-address.js');
const { Collector } = require('./collector.js');
const { Exchange, countResponses, tallies } = require('./http-exchange.js');
const {
  addAbort,
  addBodies,
  addError,
  fieldsOf,
  isBroken,
  maybeLine,
  tagsOf,
} = require('./http-entry.js');
const { isUsual } = require('./http-line.js');
const { followHandshake } = require('./http-upgrade.js');
const { storage } = require('./trace.js');

/** Status of a request whose client did not wait for the response; nginx's number. */
const CLIENT_GONE = 499;

const MAX_PATH = 1024;

/**
 * @typedef {import('./http-exchange.js').Request} Request
 * @typedef {import('./http-exchange.js').Response} Response
 * @typedef {(request: any, response: any, next: (error?: any) => void) => any} Middleware
 */

/**
 * Logs requests of Express, Connect, Fastify and plain `node:http`.
 *
 * What a handler awaits belongs to the trace of the request's `traceparent`, or to a
 * new one: see currentTraceId().
 */
class HTTPCollector extends Collector {
  /** @override */
  static section = 'recursive_http';

  /**
   * @param {import('./collector.js').LogSystem} logSystem
   * @param {import('./collector.js').CollectorOptions} [options]
   */
  constructor(logSystem, options = {}) {
    super(logSystem, { source: 'http_traffic', ...options });
    Object.assign(this._counts, { requests: 0, ignored: 0, aborted: 0 });
    /** @type {string[]} */
    this._ignored = listOf(this.config.ignore_paths).map((path) =>
      path.replace(/\/+$/, ''),
    );
    this._trustedProxies = Number(this.config.trusted_proxies) || 0;
    /** @type {string} */
    this._clientErrorLevel = this.config.client_error_level ?? 'WARN';
    // rules of the user's own are for the log system: they may name fields of ours
    this._mayPost =
      typeof (/** @type {any} */ (logSystem).post) === 'function' &&
      typeof this.source === 'string' &&
      isUsual(this.redactor.rules);
    /** @type {unknown} */
    this._app = undefined;
    this._appTrusts = false;
  }

  /** @override */
  _listen() {
    this._undo.push(countResponses());
  }

  /**
   * The middleware: put it before all others. One that is disabled or stopped does
   * nothing.
   * @type {Middleware}
   */
  middleware = (request, response, next) => {
    const exchange = this._begin(request, response);
    return exchange === undefined ? next() : storage.run(exchange, next);
  };

  /**
   * A handler of `node:http` whose requests are logged.
   * @template {(request: any, response: any) => any} T
   * @param {T} handler
   * @returns {T}
   */
  wrap(handler) {
    const collector = this;
    /**
     * @this {any}
     * @param {any} request
     * @param {any} response
     */
    function wrapped(request, response) {
      const exchange = collector._begin(request, response);
      const call = () => handler.call(this, request, response);
      if (exchange === undefined) return call();
      return storage.run(exchange, () => noting(exchange, call));
    }
    return /** @type {T} */ (wrapped);
  }

  /**
   * Log the requests of a server and its upgrades, whatever handles them.
   * @param {{emit: (event: any, ...values: any[]) => any}} server
   * @returns {this}
   */
  attach(server) {
    this.start();
    const { emit } = server;
    const collector = this;
    // a listener of our own for `upgrade` would take the connections of a server
    // that has none
    server.emit = function (event, ...values) {
      const pass = () => emit.call(this, event, ...values);
      const exchange =
        event === 'request'
          ? collector._begin(values[0], values[1])
          : event === 'upgrade'
            ? collector._beginUpgrade(values[0], values[1])
            : undefined;
      return exchange === undefined ? pass() : storage.run(exchange, pass);
    };
    this._undo.push(() => {
      server.emit = emit;
    });
    return this;
  }

  /**
   * Express's error handler: put it after all routes, and the entry has what was
   * passed to next(). It passes it on.
   * @type {(error: any, request: any, response: any, next: (error?: any) => void) => any}
   */
  errorHandler = (error, _request, response, next) => {
    const tally = tallies.get(response);
    if (tally !== undefined) tally.error = error;
    return next(error);
  };

  /**
   * The same for Fastify: `app.addHook('onError', collector.fastifyErrorHook)`.
   * @type {(request: any, reply: any, error: any, done: () => void) => void}
   */
  fastifyErrorHook = (_request, reply, error, done) => {
    const tally = tallies.get(reply.raw);
    if (tally !== undefined) tally.error = error;
    done();
  };

  /**
   * A hook of Fastify: `app.addHook('onRequest', collector.fastifyHook)`.
   * @type {(request: any, reply: any, done: () => void) => void}
   */
  fastifyHook = (request, reply, done) => {
    this.middleware(request.raw, reply.raw, done);
    const tally = tallies.get(reply.raw);
    if (tally !== undefined) tally.route = request.routeOptions?.url;
  };

  /**
   * @param {any} request
   * @param {any} response
   * @returns {Exchange | undefined} undefined when it is not to be logged
   */
  _begin(request, response) {
    try {
      if (!this.isStarted || tallies.get(response) !== undefined)
        return undefined;
      const path = this._pathOf(request);
      if (path === undefined) return undefined;
      const exchange = new Exchange(this, request, response, path);
      exchange.follow();
      return exchange;
    } catch {
      this._counts.failed += 1;
      return undefined;
    }
  }

  /**
   * @param {any} request
   * @param {import('node:net').Socket} socket
   * @returns {Exchange | undefined}
   */
  _beginUpgrade(request, socket) {
    try {
      const path = this.isStarted ? this._pathOf(request) : undefined;
      if (path === undefined) return undefined;
      const exchange = new Exchange(this, request, undefined, path);
      followHandshake(socket, (status) =>
        this._guard(() =>
          this._write(exchange, status || CLIENT_GONE, status === 0),
        ),
      );
      return exchange;
    } catch {
      this._counts.failed += 1;
      return undefined;
    }
  }

  /**
   * @param {Request} request
   * @returns {string | undefined} undefined when it is ignored
   */
  _pathOf(request) {
    this._counts.requests += 1;
    // a router that is mounted has `url` relative to itself
    /** @type {string} */
    const url = request.originalUrl ?? request.url ?? '';
    const query = url.indexOf('?');
    const path = query < 0 ? url : url.slice(0, query);
    for (const folder of this._ignored) {
      if (isBelow(path, folder)) {
        this._counts.ignored += 1;
        return undefined;
      }
    }
    return path;
  }

  /**
   * Log an exchange that has ended: one that had begun before stop(), too.
   * @param {Exchange} exchange
   * @param {boolean} whole
   */
  record(exchange, whole) {
    try {
      const response = /** @type {Response} */ (exchange.response);
      const { tally } = exchange;
      tally.error ??= response.errored ?? undefined;
      // without an error of ours only the client can have ended it
      const gone = !whole && tally.error === undefined;
      this._write(exchange, gone ? CLIENT_GONE : response.statusCode, gone);
    } catch {
      this._counts.failed += 1;
    }
  }

  /**
   * @param {Exchange} exchange
   * @param {number} status
   * @param {boolean} aborted
   */
  _write(exchange, status, aborted) {
    const { redactor } = this;
    const { tally } = exchange;
    if (aborted) this._counts.aborted += 1;
    const ip = this._addressOf(exchange);
    if (this._mayPost && !aborted) {
      const level = this._levelOf(status, false);
      const line = maybeLine(this, exchange, status, level, ip);
      if (line !== null) return this._post(line);
    }
    const path = redactor.text(exchange.path, MAX_PATH);
    const metadata = fieldsOf(exchange, path, status, ip);
    if (aborted) addAbort(metadata, exchange);
    if (tally.error !== undefined) addError(metadata, tally.error, redactor);
    if (tally.body !== undefined) addBodies(metadata, exchange, redactor);
    this._send({
      source: this.source,
      level: this._levelOf(status, !aborted && isBroken(exchange)),
      message: `${metadata.method} ${path} - ${status}`,
      metadata,
      tags: tagsOf(status, aborted),
      trace_id: exchange.trace.traceId,
    });
  }

  /**
   * Log a usual request, by the shorter way.
   * @param {import('./http-line.js').Line} line
   */
  _post(line) {
    /** @type {any} */ (this.logSystem).post(line);
    this._counts.logged += 1;
  }

  /**
   * @param {number} status
   * @param {boolean} broken
   */
  _levelOf(status, broken) {
    if (broken || status >= 500) return 'ERROR';
    return status >= 400 ? this._clientErrorLevel : 'INFO';
  }

  /**
   * @param {Exchange} exchange
   * @returns {string | undefined}
   */
  _addressOf({ request, remote }) {
    if (request.app !== undefined && this._expressTrusts(request.app)) {
      return request.ip;
    }
    const proxies = this._trustedProxies;
    const forwarded =
      proxies > 0 ? request.headers?.['x-forwarded-for'] : undefined;
    return clientAddress(remote, forwarded, proxies);
  }

  /**
   * Whether an Express application has been told of proxies: then it knows better.
   * @param {any} app
   */
  _expressTrusts(app) {
    if (this._app !== app) {
      this._app = app;
      this._appTrusts = Boolean(app.get?.('trust proxy'));
    }
    return this._appTrusts;
  }
}

/**
 * @param {unknown} value
 * @returns {string[]}
 */
function listOf(value) {
  return Array.isArray(value)
    ? value.filter((item) => typeof item === 'string')
    : [];
}

/**
 * Whether a path is a folder or something in it: `/health` is not `/healthy`.
 * @param {string} path
 * @param {string} folder
 */
function isBelow(path, folder) {
  return (
    path.startsWith(folder) &&
    (path.length === folder.length || path.charCodeAt(folder.length) === 47)
  );
}

/**
 * Call a handler, and note what it throws or rejects with: it goes on as it would.
 * @param {Exchange} exchange
 * @param {() => any} call
 * @returns {any}
 */
function noting(exchange, call) {
  const note = (/** @type {unknown} */ error) => {
    exchange.tally.error = error;
    throw error;
  };
  try {
    const result = call();
    return typeof result?.then === 'function'
      ? result.then(undefined, note)
      : result;
  } catch (error) {
    return note(error);
  }
}

module.exports = { HTTPCollector };
