'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const net = require('node:net');
const { Readable, pipeline } = require('node:stream');
const test = require('node:test');
const express = require('express');
const supertest = require('supertest');

const { HTTPCollector } = require('../../src/collectors/http-collector.js');
const { Failing } = require('./recording.js');
const { collecting, listening, serving, until } = require('./serving.js');

test('A client that goes away is a WARN of status 499.', async (t) => {
  const { logSystem, collector } = collecting();
  const server = http.createServer(
    collector.wrap((request, response) => {
      response.writeHead(200);
      response.write('begun');
    }),
  );
  const port = await listening(t, server);

  const socket = net.connect(port, '127.0.0.1');
  socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
  socket.once('data', () => socket.destroy());
  await until(() => logSystem.entries.length > 0);

  const { level, message, metadata, tags } = logSystem.last;
  assert.equal(level, 'WARN');
  assert.equal(message, 'GET /slow - 499');
  assert.equal(metadata.aborted, true);
  assert.equal(metadata.sent_status, 200);
  assert.equal(metadata.content_length, 5);
  assert.deepEqual(tags, ['http', '4xx', 'aborted']);
  assert.equal(collector.counters.aborted, 1);
});

test('A client that goes away while it sends its body is logged, too.', async (t) => {
  const { logSystem, collector } = collecting();
  const server = http.createServer(
    collector.wrap((request) => request.on('error', () => {}).resume()),
  );
  const port = await listening(t, server);

  const socket = net.connect(port, '127.0.0.1');
  socket.write(
    'POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\npart',
  );
  setTimeout(() => socket.destroy(), 20);
  await until(() => logSystem.entries.length > 0);

  assert.equal(logSystem.last.message, 'POST /up - 499');
});

test('A stream that breaks on the server is an ERROR with its error.', async (t) => {
  const { logSystem, collector } = collecting();
  const server = http.createServer(
    collector.wrap((request, response) => {
      const broken = new Readable({
        read() {
          this.destroy(new Error('disk failed'));
        },
      });
      pipeline(broken, response, () => {});
    }),
  );
  const port = await listening(t, server);

  await new Promise((resolve) =>
    http.get({ port, path: '/file' }).on('error', resolve),
  );
  await until(() => logSystem.entries.length > 0);

  assert.equal(logSystem.last.level, 'ERROR');
  assert.equal(logSystem.last.metadata.error, 'disk failed');
  assert.equal(logSystem.last.metadata.aborted, undefined);
});

test('What goes to next(error) is an ERROR with the error, and goes on.', async () => {
  const { app, logSystem } = serving((routes, collector) => {
    routes.get('/', (request, response, next) => next(new TypeError('no row')));
    routes.use(collector.errorHandler);
    routes.use((error, request, response, _next) =>
      response.status(500).send('sorry'),
    );
  });

  const reply = await supertest(app).get('/');

  assert.equal(reply.text, 'sorry');
  assert.equal(logSystem.last.level, 'ERROR');
  assert.equal(logSystem.last.metadata.error, 'no row');
  assert.equal(logSystem.last.metadata.error_type, 'TypeError');
  assert.match(logSystem.last.metadata.stack, /http-failures\.test\.js/);
});

test('A handler that throws still reaches Express.', async () => {
  const { app, logSystem } = serving((routes) => {
    routes.get('/sync', () => {
      throw new Error('sync');
    });
    routes.get('/async', () => Promise.reject(new Error('async')));
    routes.use((error, request, response, _next) =>
      response.status(500).send(error.message),
    );
  });

  assert.equal((await supertest(app).get('/sync')).text, 'sync');
  assert.equal((await supertest(app).get('/async')).text, 'async');
  assert.deepEqual(
    logSystem.entries.map((entry) => entry.level),
    ['ERROR', 'ERROR'],
  );
});

test('An error of a plain handler is noted, and is thrown as it was.', () => {
  const { collector } = collecting();
  const error = new Error('of the handler');
  const handler = collector.wrap(() => {
    throw error;
  });
  const response = new http.ServerResponse(new http.IncomingMessage());

  assert.throws(() => handler({ url: '/', headers: {} }, response), error);
});

test('A log system that fails is not noticed by a client.', async () => {
  const collector = new HTTPCollector(new Failing()).start();
  const app = express();
  app.use(collector.middleware);
  app.get('/', (request, response) => response.send('fine'));

  for (let i = 0; i < 4; i += 1) {
    assert.equal((await supertest(app).get('/')).text, 'fine');
  }
  await until(() => collector.counters.failed === 4);
});

test('After stop(), and when it is disabled, requests pass unlogged.', async () => {
  const { app, logSystem, collector } = serving((routes) =>
    routes.get('/', (request, response) => response.send('fine')),
  );
  collector.stop();

  assert.equal((await supertest(app).get('/')).text, 'fine');
  assert.equal(logSystem.entries.length, 0);

  const disabled = serving(
    (routes) => routes.get('/', (request, response) => response.send('fine')),
    { enabled: false },
  );
  assert.equal((await supertest(disabled.app).get('/')).text, 'fine');
  assert.equal(disabled.logSystem.entries.length, 0);
});
