'use strict';

/**
 * Queries of clients that are built as those of `pg`, and waits for their pool.
 *
 * @module
 */

const { errorMonitor } = require('node:events');

const {
  Collector,
  known,
  milliseconds,
  number,
  word,
} = require('./collector.js');
const { statementOf } = require('./statement.js');
const { currentTraceId } = require('./trace.js');

/** A query that takes longer is a WARN; PostgreSQL's pages begin with 1 s, too. */
const SLOW_MS = 1000;

/** Where a client keeps that it is followed, and how long it was waited for. */
const FOLLOWED = Symbol('followed');
const WAITED = Symbol('waited');

/**
 * Logs each query when it has ended: the statement without its values, its duration,
 * rows, and the error.
 */
class DatabaseCollector extends Collector {
  /** @override */
  static section = 'database';

  /**
   * @param {import('./collector.js').LogSystem} logSystem
   * @param {import('./collector.js').CollectorOptions & {slowMs?: number, name?: string, now?: () => number}} [options]
   */
  constructor(logSystem, options = {}) {
    super(logSystem, options);
    Object.assign(this._counts, { queries: 0, errors: 0, slow: 0 });
    this._slowMs = options.slowMs ?? SLOW_MS;
    this._name = options.name;
    this._now = options.now ?? (() => performance.now());
  }

  /**
   * Follow the queries of a client, or of all clients of a pool, until stop().
   * @template T
   * @param {T} client has `query`; a pool has `connect`, and gives clients
   * @returns {T} the same client
   */
  wrap(client) {
    this.start();
    const target = /** @type {any} */ (client);
    if (typeof target?.query !== 'function') {
      throw new TypeError(
        'client: has no method query(text, values); expected a client or a pool of pg',
      );
    }
    if (!this.isStarted || target[FOLLOWED]) return client;
    if (isPool(target)) this._followPool(target);
    else this._followClient(target);
    return client;
  }

  /**
   * A pool's own query() asks one of its clients: only those are followed, or it would
   * be logged twice.
   * @param {any} pool
   */
  _followPool(pool) {
    const collector = this;
    this._replace(pool, 'connect', (connect) => {
      /**
       * @this {any}
       * @param {any} callback
       */
      return function (callback) {
        const since = collector._now();
        const traceId = currentTraceId(); // a pool's callbacks have others
        const got = (/** @type {any} */ client) =>
          collector._guard(() => collector._checkedOut(client, since));
        const failed = (/** @type {any} */ error) =>
          collector._guard(() => collector._unconnected(error, since, traceId));
        if (typeof callback !== 'function') {
          return observed(connect.call(this), got, failed);
        }
        return connect.call(
          this,
          (
            /** @type {any} */ error,
            /** @type {any} */ client,
            /** @type {any} */ done,
          ) => {
            if (error) failed(error);
            else got(client);
            return callback(error, client, done);
          },
        );
      };
    });
  }

  /**
   * @param {any} client
   * @param {number} since
   */
  _checkedOut(client, since) {
    if (!this.isStarted || typeof client?.query !== 'function') return;
    if (!client[FOLLOWED]) this._followClient(client);
    client[WAITED] = this._now() - since;
  }

  /**
   * @param {any} error
   * @param {number} since
   * @param {string | undefined} traceId
   */
  _unconnected(error, since, traceId) {
    if (!this.isStarted) return;
    this._counts.errors += 1;
    this._log(
      'ERROR',
      'database connection failed',
      known({
        database: this._name,
        duration_ms: milliseconds(this._now() - since),
        ...this._errorFields(error),
      }),
      ['database', 'error'],
      traceId,
    );
  }

  /**
   * @param {any} client
   */
  _followClient(client) {
    const collector = this;
    client[FOLLOWED] = true;
    this._undo.push(() => delete client[FOLLOWED]);
    this._replace(client, 'query', (query) => {
      /**
       * @this {any}
       * @param {...any} values
       */
      return function (...values) {
        const ended = collector._begin(this, values[0]);
        return ended === undefined
          ? query.apply(this, values)
          : run(query, this, values, ended);
      };
    });
  }

  /**
   * @param {any} target
   * @param {string} name
   * @param {(method: Function) => Function} replace
   */
  _replace(target, name, replace) {
    const method = target[name];
    const isOwn = Object.hasOwn(target, name);
    const replaced = replace(method);
    target[name] = replaced;
    this._undo.push(() => {
      if (target[name] !== replaced) return; // somebody else has replaced it since
      if (isOwn) target[name] = method;
      else delete target[name];
    });
  }

  /**
   * @param {any} client
   * @param {any} query
   * @returns {Ended | undefined}
   */
  _begin(client, query) {
    try {
      const sql = typeof query === 'string' ? query : query?.text;
      if (!this.isStarted || typeof sql !== 'string') return undefined;
      const since = this._now();
      const waited = client[WAITED];
      client[WAITED] = undefined;
      const traceId = currentTraceId();
      let isDone = false;
      return (error, result) => {
        if (isDone) return;
        isDone = true;
        this._guard(() =>
          this._write(
            { sql, name: query.name, since, waited, traceId },
            error,
            result,
          ),
        );
      };
    } catch {
      this._counts.failed += 1;
      return undefined;
    }
  }

  /**
   * @param {{sql: string, name: unknown, since: number, waited: number | undefined, traceId: string | undefined}} query
   * @param {any} error
   * @param {any} result
   */
  _write({ sql, name, since, waited, traceId }, error, result) {
    const duration = this._now() - since;
    const { text, operation, table } = statementOf(sql);
    const what = table === undefined ? operation : `${operation} ${table}`;
    const isSlow = duration >= this._slowMs;
    this._counts.queries += 1;
    if (error) this._counts.errors += 1;
    if (isSlow) this._counts.slow += 1;
    this._log(
      levelOf(error, isSlow),
      error ? `${what} failed` : what,
      known({
        statement: text,
        duration_ms: milliseconds(duration),
        operation,
        table,
        rows: rowsOf(result),
        database: this._name,
        statement_name: word(name),
        pool_wait_ms: waited === undefined ? undefined : milliseconds(waited),
        slow: isSlow || undefined,
        ...(error ? this._errorFields(error) : {}),
      }),
      tagsOf(error, isSlow),
      traceId,
    );
  }

  /**
   * @param {any} error
   */
  _errorFields(error) {
    return {
      error: this.redactor.text(error?.message ?? error),
      error_code: word(error?.code),
    };
  }
}

/** @typedef {(error: any, result?: any) => void} Ended */

/**
 * Whether clients are checked out of it: a client's connect() opens only itself.
 * @param {any} target
 */
function isPool(target) {
  return (
    typeof target.connect === 'function' &&
    (typeof target.totalCount === 'number' ||
      target.constructor?.name === 'Pool')
  );
}

/**
 * Call query() in each of its forms, and see its end.
 * @param {Function} query
 * @param {any} client
 * @param {any[]} values
 * @param {Ended} ended
 */
function run(query, client, values, ended) {
  const last = values.length - 1;
  const first = values[0];
  if (typeof values[last] === 'function') {
    values[last] = calledBack(values[last], ended);
  } else if (typeof first?.callback === 'function') {
    values[0] = Object.assign(
      Object.create(Object.getPrototypeOf(first)),
      first,
      {
        callback: calledBack(first.callback, ended),
      },
    );
  }
  let result;
  try {
    result = query.apply(client, values);
  } catch (error) {
    ended(error);
    throw error;
  }
  if (typeof result?.submit === 'function') {
    // a cursor or a stream of rows: it is the query itself
    result.once?.('end', () => ended(null));
    result.once?.(errorMonitor, ended);
    return result;
  }
  return observed(result, (value) => ended(null, value), ended);
}

/**
 * @param {Function} callback
 * @param {Ended} ended
 */
function calledBack(callback, ended) {
  /**
   * @this {any}
   * @param {any} error
   * @param {any} result
   */
  return function (error, result) {
    ended(error, result);
    return callback.call(this, error, result);
  };
}

/**
 * A promise that is seen, and still unhandled if its host does not handle it. Other
 * thenables may begin their work only when they are awaited: they are left alone.
 * @param {any} promise
 * @param {(value: any) => void} got
 * @param {(error: any) => void} failed
 */
function observed(promise, got, failed) {
  if (!(promise instanceof Promise)) return promise;
  return promise.then(
    (value) => {
      got(value);
      return value;
    },
    (error) => {
      failed(error);
      throw error;
    },
  );
}

/**
 * @param {any} error
 * @param {boolean} isSlow
 */
function levelOf(error, isSlow) {
  if (error) return 'ERROR';
  return isSlow ? 'WARN' : 'INFO';
}

/**
 * @param {any} error
 * @param {boolean} isSlow
 */
function tagsOf(error, isSlow) {
  const tags = ['database'];
  if (isSlow) tags.push('slow');
  if (error) tags.push('error');
  return tags;
}

/**
 * @param {any} result
 * @returns {number | undefined}
 */
function rowsOf(result) {
  const last = Array.isArray(result) ? result.at(-1) : result;
  return number(last?.rowCount) ?? number(last?.rows?.length);
}

module.exports = { DatabaseCollector };
