'use strict';

const assert = require('node:assert/strict');
const { EventEmitter } = require('node:events');
const test = require('node:test');

const {
  DatabaseCollector,
} = require('../../src/collectors/database-collector.js');
const { statementOf } = require('../../src/collectors/statement.js');
const { withTrace } = require('../../src/collectors/trace.js');
const { Recording } = require('./recording.js');

/** A client whose query() has the forms of pg's. */
class Client {
  query(query, values, callback) {
    const done = [query.callback, callback, values].find(
      (value) => typeof value === 'function',
    );
    const text = query.text ?? query;
    const error = /broken/.test(text)
      ? Object.assign(new Error('relation "broken" does not exist'), {
          code: '42P01',
        })
      : null;
    const result = { rows: [{ a: 1 }], rowCount: 1 };
    if (typeof query.submit === 'function') return query;
    if (done) {
      setImmediate(() => done(error, result));
      return undefined;
    }
    return error ? Promise.reject(error) : Promise.resolve(result);
  }
}

/** A pool whose own query() asks a client of it, as pg's does. */
class Pool {
  totalCount = 0;
  client = new Client();

  connect(callback) {
    const done = () => {};
    if (callback) return callback(null, this.client, done);
    return Promise.resolve(this.client);
  }

  query(text, values) {
    return new Promise((resolve, reject) =>
      this.connect((error, client) =>
        client.query(text, values, (failed, result) =>
          failed ? reject(failed) : resolve(result),
        ),
      ),
    );
  }
}

/** A followed client, and what was logged. */
function following(t, client = new Client(), options = {}) {
  const logSystem = new Recording();
  const collector = new DatabaseCollector(logSystem, options);
  t.after(() => collector.stop());
  return { client: collector.wrap(client), logSystem, collector };
}

test('A query is an INFO with its statement, never with its values.', async (t) => {
  const { client, logSystem } = following(t);

  const result = await client.query(
    "SELECT * FROM users WHERE name = 'ann' AND id = $1",
    [42],
  );

  assert.equal(result.rowCount, 1);
  const { metadata, ...entry } = logSystem.last;
  assert.deepEqual(entry, {
    source: 'database',
    level: 'INFO',
    message: 'SELECT users',
    tags: ['database'],
  });
  assert.equal(
    metadata.statement,
    'SELECT * FROM users WHERE name = ? AND id = $1',
  );
  assert.equal(metadata.rows, 1);
  assert.ok(metadata.duration_ms >= 0);
  assert.doesNotMatch(JSON.stringify(logSystem.entries), /ann|42/);
});

test('All forms of query() are logged, and work as before.', async (t) => {
  const { client, logSystem } = following(t);
  const called = (...values) =>
    new Promise((resolve) =>
      client.query(...values, (error, result) => resolve(result.rowCount)),
    );

  assert.equal(await called('SELECT 1'), 1);
  assert.equal(await called('SELECT $1', [1]), 1);
  assert.equal(
    (await client.query({ text: 'SELECT 2', name: 'two' })).rowCount,
    1,
  );
  await new Promise((callback) => client.query({ text: 'SELECT 3', callback }));
  const cursor = Object.assign(new EventEmitter(), {
    text: 'SELECT 4',
    submit() {},
  });
  assert.equal(client.query(cursor), cursor);
  cursor.emit('end');

  assert.equal(logSystem.entries.length, 5);
  assert.equal(logSystem.entries[2].metadata.statement_name, 'two');
});

test('A failing query is an ERROR with the code, and fails as before.', async (t) => {
  const { client, logSystem } = following(t);

  await assert.rejects(client.query('SELECT * FROM broken'), /does not exist/);

  assert.equal(logSystem.last.level, 'ERROR');
  assert.equal(logSystem.last.message, 'SELECT broken failed');
  assert.equal(logSystem.last.metadata.error_code, '42P01');
});

test('A slow query is a WARN.', async (t) => {
  let now = 0;
  const { client, logSystem } = following(t, new Client(), {
    now: () => (now += 1500),
  });

  await client.query('SELECT pg_sleep(1.5)');

  assert.equal(logSystem.last.level, 'WARN');
  assert.equal(logSystem.last.metadata.duration_ms, 1500);
  assert.deepEqual(logSystem.last.tags, ['database', 'slow']);
});

test("A pool's queries are logged once, with how long a client was waited for.", async (t) => {
  const { client: pool, logSystem } = following(t, new Pool());

  await pool.query('SELECT 1');
  const client = await pool.connect();
  await client.query('SELECT 2');
  await client.query('SELECT 3');

  assert.equal(logSystem.entries.length, 3);
  assert.deepEqual(
    logSystem.entries.map((entry) => entry.metadata.pool_wait_ms >= 0),
    [true, true, false],
  );
});

test('A pool that gives no client is an ERROR of the trace that waited.', async (t) => {
  const pool = new Pool();
  pool.connect = () =>
    Promise.reject(new Error('timeout exceeded when trying to connect'));
  const { client, logSystem } = following(t, pool);

  const traceId = 'c'.repeat(32);
  const waiting = withTrace(traceId, () => client.connect());
  await assert.rejects(waiting, /timeout exceeded/);

  assert.equal(logSystem.last.message, 'database connection failed');
  assert.equal(logSystem.last.trace_id, traceId);
  assert.equal(logSystem.last.level, 'ERROR');
});

test('A query has the trace of the request that asks it.', async (t) => {
  const { client, logSystem } = following(t);
  const traceId = 'b'.repeat(32);

  await withTrace(traceId, () => client.query('SELECT 1'));

  assert.equal(logSystem.last.trace_id, traceId);
});

test('A rejection that nobody handles stays one.', async (t) => {
  const { client } = following(t);
  const unhandled = [];
  const listener = (error) => unhandled.push(error.code);
  const others = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection');
  process.on('unhandledRejection', listener);

  client.query('SELECT * FROM broken');
  await new Promise((resolve) => setTimeout(resolve, 5));
  process.off('unhandledRejection', listener);
  for (const other of others) process.on('unhandledRejection', other);

  assert.deepEqual(unhandled, ['42P01']);
});

test('After stop() a client is as it was.', async () => {
  const logSystem = new Recording();
  const collector = new DatabaseCollector(logSystem);
  const client = collector.wrap(new Client());

  collector.stop();
  await client.query('SELECT 1');

  assert.equal(logSystem.entries.length, 0);
  assert.equal(client.query, Client.prototype.query);
});

test('Statements lose their values and comments, and keep their names.', () => {
  for (const [sql, text] of [
    ["select 'it''s', 1.5, -2e10 from t", 'select ?, ?, -? from t'],
    [
      "select E'a\\'b', $tag$ x ' y $tag$ from \"My Table 2\"",
      'select ?, ? from "My Table 2"',
    ],
    ['select 1 -- secret\n  from t /* why */', 'select ? from t'],
    [
      'select * from t where id in (1, 2,3) or id in ($1, $2)',
      'select * from t where id in (...) or id in (...)',
    ],
    ["insert into t2 values ('unfinished", 'insert into t2 values (?'],
  ]) {
    assert.equal(statementOf(sql).text, text);
  }
  assert.equal(statementOf('update only "Orders" set a = 1').table, 'Orders');
  assert.equal(statementOf('begin').operation, 'BEGIN');
});
