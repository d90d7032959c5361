'use strict';

const assert = require('node:assert/strict');
const { EventEmitter } = require('node:events');
const test = require('node:test');
const express = require('express');
const supertest = require('supertest');

const { findEventBus, ownBus } = require('../../src/collectors/event-bus.js');
const {
  RecursiveCollectors,
} = require('../../src/collectors/recursive-collectors.js');
const { Recording } = require('./recording.js');

test('start() starts what the configuration has enabled, and says so.', async () => {
  const eventBus = new EventEmitter();
  const logSystem = new Recording({ recursive_ai: { enabled: false } });
  const collectors = new RecursiveCollectors(logSystem, { eventBus });
  const told = [];
  collectors.on('started', (name) => told.push(name));
  collectors.on('stopped', (name) => told.push(`no ${name}`));

  await collectors.start();
  await collectors.start();
  eventBus.emit('mcp:request', { method: 'ping' });
  eventBus.emit('ai:analysis:start', { analysis_id: 'a' });
  await collectors.stop();

  assert.deepEqual(told, [
    'mcp',
    'websocket',
    'http',
    'no mcp',
    'no websocket',
    'no http',
  ]);
  assert.deepEqual(
    logSystem.entries.map((entry) => entry.message),
    ['MCP ping called'],
  );
  assert.equal(eventBus.listenerCount('mcp:request'), 0);
  assert.equal(collectors.counters.mcp.logged, 1);
});

test('startHTTPCollector() returns the middleware itself, each time the same.', async () => {
  const logSystem = new Recording();
  const eventBus = new EventEmitter();
  const collectors = new RecursiveCollectors(logSystem, { eventBus });
  const middleware = collectors.startHTTPCollector();
  const app = express();
  app.use(middleware);
  app.get('/', (request, response) => response.send('fine'));

  await supertest(app).get('/');

  assert.equal(middleware.length, 3);
  assert.equal(collectors.startHTTPCollector(), middleware);
  assert.equal(logSystem.last.message, 'GET / - 200');
});

test('Collectors can be started one by one, again after a stop, and with other settings.', async () => {
  const logSystem = new Recording({
    recursive_websocket: { log_messages: false },
  });
  const eventBus = new EventEmitter();
  const collectors = new RecursiveCollectors(logSystem, { eventBus });

  collectors.startWebSocketCollector({ log_messages: true });
  eventBus.emit('websocket:message', { size: 1 });
  await collectors.stop();
  eventBus.emit('websocket:message', { size: 1 });
  collectors.startWebSocketCollector();
  eventBus.emit('websocket:message', { size: 1 });
  await collectors.stop();

  assert.equal(logSystem.entries.length, 1);
});

test('Loggers and databases are followed beside each other.', async () => {
  const logSystem = new Recording();
  const eventBus = new EventEmitter();
  const collectors = new RecursiveCollectors(logSystem, { eventBus });
  const loggers = [new EventEmitter(), new EventEmitter()];
  const client = collectors.wrapDatabase(
    { query: async () => ({ rowCount: 0 }) },
    { name: 'main' },
  );

  for (const logger of loggers) collectors.startLogger(logger);
  for (const logger of loggers) logger.emit('log', 'info', 'hello');
  await client.query('SELECT 1');
  await collectors.stop();

  assert.equal(logSystem.entries.length, 3);
  assert.equal(logSystem.last.metadata.database, 'main');
});

test('Without a bus the one of @recursive/shared is taken, or one of this process.', () => {
  const eventBus = new EventEmitter();
  const missing = () => {
    throw Object.assign(new Error('no'), { code: 'MODULE_NOT_FOUND' });
  };

  assert.equal(
    findEventBus(undefined, () => ({ eventBus })),
    eventBus,
  );
  assert.equal(
    findEventBus(undefined, () => ({ default: { eventBus } })),
    eventBus,
  );
  assert.equal(findEventBus(undefined, missing), ownBus());
  assert.equal(new RecursiveCollectors(new Recording()).eventBus, ownBus());
});

test('A bus and a log system that are none are refused by name.', () => {
  assert.throws(
    () => new RecursiveCollectors(new Recording(), { eventBus: {} }),
    /eventBus: has no method on/,
  );
  assert.throws(
    () => new RecursiveCollectors({}),
    /logSystem: has no method log/,
  );
});

test('Each module can be imported and required, with the same names.', async () => {
  for (const name of [
    'recursive-collectors',
    'mcp-collector',
    'websocket-collector',
    'ai-analysis-collector',
    'http-collector',
    'database-collector',
    'console-collector',
    'logger-collector',
    'trace',
  ]) {
    const required = require(`../../src/collectors/${name}.js`);
    const imported = await import(`../../src/collectors/${name}.mjs`);
    for (const key of Object.keys(imported)) {
      if (key !== 'default') assert.equal(imported[key], required[key], key);
    }
    assert.ok(Object.keys(imported).length > 1, name);
  }
});
