'use strict';

const assert = require('node:assert/strict');
const { Readable } = require('node:stream');
const test = require('node:test');
const express = require('express');
const supertest = require('supertest');

const { serving } = require('./serving.js');

test('Bytes are counted however a response is written.', async () => {
  const { app, logSystem } = serving((routes) => {
    routes.get('/end', (request, response) => response.end('h\u00e4llo'));
    routes.get('/write', (request, response) => {
      response.write('abc');
      response.write(Buffer.from('de'));
      response.write('0001', 'hex');
      response.end('f');
    });
    routes.get('/pipe', (request, response) =>
      Readable.from([Buffer.alloc(70_000), Buffer.alloc(30_000)]).pipe(
        response,
      ),
    );
    routes.get('/empty', (request, response) => response.status(204).end());
    routes.get('/callback', (request, response) => response.end(() => {}));
  });

  const sizes = {};
  for (const path of ['/end', '/write', '/pipe', '/empty', '/callback']) {
    await supertest(app).get(path);
    sizes[path] = logSystem.last.metadata.content_length;
  }
  assert.deepEqual(sizes, {
    '/end': 6,
    '/write': 8,
    '/pipe': 100_000,
    '/empty': 0,
    '/callback': 0,
  });
});

test('A response to HEAD has no body.', async () => {
  const { app, logSystem } = serving((routes) =>
    routes.get('/', (request, response) => response.send('hello')),
  );

  const reply = await supertest(app).head('/');

  assert.equal(reply.headers['content-length'], '5');
  assert.equal(logSystem.last.message, 'HEAD / - 200');
  assert.equal(logSystem.last.metadata.content_length, 0);
});

test('Bodies are kept with capture_body: redacted, and cut at 4 KiB.', async () => {
  const { app, logSystem } = serving(
    (routes) => {
      routes.use(express.json({ limit: '1mb' }));
      routes.post('/', (request, response) =>
        response.json({ token: 'of-the-response', echo: request.body.name }),
      );
    },
    { capture_body: true },
  );

  await supertest(app)
    .post('/')
    .send({
      name: 'ann',
      password: 'hunter2',
      card: '4111 1111 1111 1111',
      text: '\u00e9'.repeat(50_000),
    });

  const { body, response_body: responseBody } = logSystem.last.metadata;
  assert.match(body, /"name":"ann"/);
  assert.doesNotMatch(body, /hunter2|4111/);
  assert.ok(Buffer.byteLength(body) <= 4096);
  assert.ok(Buffer.byteLength(body) > 4000);
  assert.equal(responseBody, '{"token":"[redacted]","echo":"ann"}');
});

test('A body that nobody has parsed is redacted by its own form.', async () => {
  const { app, logSystem } = serving(
    (routes) =>
      routes.post('/', (request, response) =>
        request.resume().on('end', () => response.end()),
      ),
    { capture_body: true },
  );
  const post = (type, text) =>
    supertest(app).post('/').set('Content-Type', type).send(text);

  await post('application/x-www-form-urlencoded', 'user=ann&password=hunter2');
  assert.equal(
    logSystem.last.metadata.body,
    '{"user":"ann","password":"[redacted]"}',
  );
  await post('text/plain', 'login password=hunter2 ok');
  assert.equal(logSystem.last.metadata.body, 'login password=[redacted] ok');
  await post('image/png', 'abcdef');
  assert.equal(logSystem.last.metadata.body, '[6 bytes of image/png]');
});

test('Without capture_body there is no body.', async () => {
  const { app, logSystem } = serving((routes) => {
    routes.use(express.json());
    routes.post('/', (request, response) => response.json(request.body));
  });

  await supertest(app).post('/').send({ name: 'ann' });

  assert.equal('body' in logSystem.last.metadata, false);
  assert.equal('response_body' in logSystem.last.metadata, false);
});
