'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const net = require('node:net');
const test = require('node:test');
const express = require('express');
const supertest = require('supertest');

const { collecting, listening, serving, until } = require('./serving.js');

test('A request is an INFO with what it was and how it ended.', async () => {
  const { app, logSystem } = serving((routes) =>
    routes.get('/orders/:id', (request, response) =>
      response.json({ id: request.params.id }),
    ),
  );

  await supertest(app).get('/orders/7?token=abc').set('User-Agent', 'probe/1');

  const [entry] = logSystem.entries;
  assert.equal(logSystem.entries.length, 1);
  assert.equal(entry.source, 'http_traffic');
  assert.equal(entry.level, 'INFO');
  assert.equal(entry.message, 'GET /orders/7 - 200');
  assert.deepEqual(entry.tags, ['http', '2xx']);
  const { duration_ms: duration, ...fields } = entry.metadata;
  assert.ok(duration > 0);
  assert.deepEqual(fields, {
    method: 'GET',
    path: '/orders/7',
    status: 200,
    ip: '127.0.0.1',
    user_agent: 'probe/1',
    content_length: '{"id":"7"}'.length,
    route: '/orders/:id',
  });
});

test('5xx is ERROR and 4xx WARN, unless the configuration says otherwise.', async () => {
  const routes = (app) =>
    app.get('/:status', (request, response) =>
      response.sendStatus(Number(request.params.status)),
    );
  for (const [section, path, level] of [
    [{}, '/503', 'ERROR'],
    [{}, '/404', 'WARN'],
    [{}, '/302', 'INFO'],
    [{ client_error_level: 'INFO' }, '/404', 'INFO'],
  ]) {
    const { app, logSystem } = serving(routes, section);
    await supertest(app).get(path);
    assert.equal(logSystem.last.level, level, path);
  }
});

test('ignore_paths are prefixes of whole segments.', async () => {
  const { app, logSystem, collector } = serving(
    (routes) => routes.use((request, response) => response.end()),
    { ignore_paths: ['/health', '/static/'] },
  );

  for (const path of [
    '/health',
    '/health?x=1',
    '/health/live',
    '/static/a.js',
  ]) {
    await supertest(app).get(path);
  }
  assert.equal(logSystem.entries.length, 0);
  assert.equal(collector.counters.ignored, 4);

  await supertest(app).get('/healthy');
  assert.equal(logSystem.last.message, 'GET /healthy - 200');
});

test("A mounted router's requests have their whole path and route.", async () => {
  const { app, logSystem } = serving((routes) => {
    const router = express.Router();
    router.get('/users/:id', (request, response) => response.end());
    routes.use('/api', router);
  });

  await supertest(app).get('/api/users/3');

  assert.equal(logSystem.last.metadata.path, '/api/users/3');
  assert.equal(logSystem.last.metadata.route, '/api/users/:id');
});

test('A middleware within a router logs the whole path too.', async () => {
  const { logSystem, collector } = collecting();
  const app = express();
  const router = express.Router();
  router.use(collector.middleware);
  router.get('/x', (request, response) => response.end());
  app.use('/api', router);

  await supertest(app).get('/api/x');

  assert.equal(logSystem.last.metadata.path, '/api/x');
});

test('Each request of a kept connection is an entry of its own.', async (t) => {
  const { logSystem, collector } = collecting();
  const server = http.createServer(
    collector.wrap((request, response) => response.end(request.url)),
  );
  const port = await listening(t, server);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());

  for (const path of ['/a', '/bb', '/ccc']) {
    await new Promise((resolve) =>
      http.get({ port, path, agent }, (reply) =>
        reply.resume().on('end', resolve),
      ),
    );
  }
  await until(() => logSystem.entries.length === 3);

  assert.deepEqual(
    logSystem.entries.map((entry) => [
      entry.message,
      entry.metadata.content_length,
    ]),
    [
      ['GET /a - 200', 2],
      ['GET /bb - 200', 3],
      ['GET /ccc - 200', 4],
    ],
  );
  assert.equal(new Set(logSystem.entries.map((e) => e.trace_id)).size, 3);
});

test('Behind trusted proxies the client is who they say; else the header is ignored.', async () => {
  const route = (routes) =>
    routes.get('/', (request, response) => response.end());
  const cases = [
    [{}, '10.0.0.1', '127.0.0.1'],
    [{ trusted_proxies: 1 }, '6.6.6.6, 10.0.0.1', '10.0.0.1'],
    [{ trusted_proxies: 2 }, '6.6.6.6, 10.0.0.1, 10.0.0.2', '10.0.0.1'],
    [{ trusted_proxies: 5 }, '10.0.0.1', '10.0.0.1'],
    [{ trusted_proxies: 1 }, '[2001:db8::1]:80', '2001:db8::1'],
    [{ trusted_proxies: 1 }, 'garbage', '127.0.0.1'],
  ];
  for (const [section, header, expected] of cases) {
    const { app, logSystem } = serving(route, section);
    await supertest(app).get('/').set('X-Forwarded-For', header);
    assert.equal(logSystem.last.metadata.ip, expected, header);
  }
});

test("Express's own trust in proxies is followed.", async () => {
  const { app, logSystem } = serving((routes) => {
    routes.set('trust proxy', 1);
    routes.get('/', (request, response) => response.end());
  });

  await supertest(app).get('/').set('X-Forwarded-For', '10.9.9.9');

  assert.equal(logSystem.last.metadata.ip, '10.9.9.9');
});

test('A request is logged once, however often the middleware is used.', async () => {
  const { app, logSystem } = serving((routes, collector) => {
    routes.use(collector.middleware);
    routes.get('/', (request, response) => response.end());
  });

  await supertest(app).get('/');

  assert.equal(logSystem.entries.length, 1);
});

test('A server that is attached logs its requests and upgrades.', async (t) => {
  const { logSystem, collector } = collecting();
  const server = http.createServer((request, response) => response.end('x'));
  server.on('upgrade', (request, socket) => {
    socket.end(
      request.url === '/ws'
        ? 'HTTP/1.1 101 Switching Protocols\r\n\r\n'
        : 'HTTP/1.1 403 Forbidden\r\n\r\n',
    );
  });
  collector.attach(server);
  const port = await listening(t, server);

  for (const path of ['/ws', '/closed']) {
    const socket = net.connect(port, '127.0.0.1');
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    );
    await new Promise((resolve) => socket.on('close', resolve).resume());
  }
  await supertest(server).get('/plain');

  assert.deepEqual(
    logSystem.entries.map((entry) => [entry.level, entry.message]),
    [
      ['INFO', 'GET /ws - 101'],
      ['WARN', 'GET /closed - 403'],
      ['INFO', 'GET /plain - 200'],
    ],
  );
});

test('A server without upgrades answers them as it would without the collector.', async (t) => {
  const { logSystem, collector } = collecting();
  const server = http.createServer((request, response) =>
    response.end('plain'),
  );
  collector.attach(server);
  const port = await listening(t, server);

  const socket = net.connect(port, '127.0.0.1');
  socket.write(
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
  );
  const [head] = await new Promise((resolve) =>
    socket.once('data', (data) => resolve([String(data)])),
  );
  socket.destroy();

  assert.match(head, /^HTTP\/1\.1 200/);
  assert.equal(logSystem.entries.length, 1);
});
