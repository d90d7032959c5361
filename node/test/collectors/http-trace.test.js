'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const supertest = require('supertest');

const {
  currentTraceId,
  traceparent,
} = require('../../src/collectors/trace.js');
const { serving } = require('./serving.js');

const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

test('A valid traceparent is the trace of all that its handler does.', async () => {
  const seen = {};
  const { app, logSystem } = serving((routes) =>
    routes.get('/', async (request, response) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      seen.traceId = currentTraceId();
      seen.traceparent = traceparent();
      response.end();
    }),
  );

  await supertest(app).get('/').set('traceparent', PARENT);

  assert.equal(seen.traceId, '4bf92f3577b34da6a3ce929d0e0e4736');
  assert.match(
    seen.traceparent,
    /^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$/,
  );
  assert.notEqual(seen.traceparent, PARENT);
  assert.equal(logSystem.last.trace_id, seen.traceId);
  assert.equal(logSystem.last.metadata.parent_span_id, '00f067aa0ba902b7');
  assert.equal(currentTraceId(), undefined);
});

test('Without a valid one a request has a trace of its own.', async () => {
  const { app, logSystem } = serving((routes) =>
    routes.get('/', (request, response) => response.end(currentTraceId())),
  );

  for (const header of [
    '',
    'x',
    PARENT.replace('4bf9', 'XYZ9'),
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
  ]) {
    const reply = await supertest(app).get('/').set('traceparent', header);
    assert.match(reply.text, /^[0-9a-f]{32}$/);
    assert.equal(logSystem.last.trace_id, reply.text);
  }
});

test('What reads the body has the trace, also by its events.', async () => {
  const seen = [];
  const { app } = serving((routes) =>
    routes.post('/', (request, response) => {
      request.on('data', () => seen.push(currentTraceId()));
      request.on('end', () => {
        seen.push(currentTraceId());
        response.end();
      });
    }),
  );

  await supertest(app).post('/').set('traceparent', PARENT).send('body');

  assert.equal(seen.length, 2);
  assert.deepEqual(
    new Set(seen),
    new Set(['4bf92f3577b34da6a3ce929d0e0e4736']),
  );
});
