'use strict';

/** Servers of other kinds: HTTP/2 and Fastify. */

const assert = require('node:assert/strict');
const http2 = require('node:http2');
const test = require('node:test');
const fastify = require('fastify');

const { currentTraceId } = require('../../src/collectors/trace.js');
const { collecting, listening, until } = require('./serving.js');

/** A server of HTTP/2 whose handler is wrapped, and a client of it. */
async function serving2(t, handler) {
  const { collector, logSystem } = collecting();
  const server = http2.createServer(collector.wrap(handler));
  const port = await listening(t, server);
  const client = http2.connect(`http://127.0.0.1:${port}`);
  t.after(() => client.close());
  return { client, logSystem };
}

/** All that a client reads of a path; `stop` is called at the first piece. */
function read(client, path, stop = () => {}) {
  return new Promise((resolve) => {
    const stream = client.request({ ':path': path });
    let text = '';
    stream.on('error', () => {});
    stream.on('data', (piece) => {
      text += piece;
      stop(stream);
    });
    stream.on('close', () => resolve(text));
  });
}

test('A request of HTTP/2 is logged with its bytes and its trace.', async (t) => {
  const { client, logSystem } = await serving2(t, (request, response) => {
    response.write('trace ');
    response.end(currentTraceId());
  });
  const text = await read(client, '/orders?full=1');
  await until(() => logSystem.last);
  const { level, message, metadata, trace_id: trace } = logSystem.last;
  assert.equal(logSystem.entries.length, 1);
  assert.deepEqual([level, message], ['INFO', 'GET /orders - 200']);
  assert.equal(text, `trace ${trace}`);
  assert.equal(metadata.content_length, text.length);
});

test('A stream of HTTP/2 that its client resets is a 499.', async (t) => {
  const { client, logSystem } = await serving2(t, (request, response) =>
    response.write('part'),
  );
  await read(client, '/long', (stream) =>
    stream.close(http2.constants.NGHTTP2_CANCEL),
  );
  await until(() => logSystem.last);
  const { message, metadata } = logSystem.last;
  assert.equal(message, 'GET /long - 499');
  assert.deepEqual([metadata.aborted, metadata.sent_status], [true, 200]);
});

/** A Fastify application behind both hooks. */
async function fastifying(t, routes) {
  const { collector, logSystem } = collecting();
  const app = fastify();
  app.addHook('onRequest', collector.fastifyHook);
  app.addHook('onError', collector.fastifyErrorHook);
  routes(app);
  t.after(() => app.close());
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  return { url, logSystem };
}

test("Fastify's requests have their route and their trace.", async (t) => {
  const { url, logSystem } = await fastifying(t, (app) =>
    app.post('/orders/:id', async ({ body }) => ({
      trace: currentTraceId(),
      body,
    })),
  );
  const options = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"paid":true}',
  };
  const reply = await (await fetch(`${url}/orders/7`, options)).json();
  await until(() => logSystem.last);
  const { message, metadata, trace_id: trace } = logSystem.last;
  assert.equal(message, 'POST /orders/7 - 200');
  assert.equal(metadata.route, '/orders/:id');
  assert.deepEqual(reply, { trace, body: { paid: true } });
});

test('What a handler of Fastify rejects with is in the entry.', async (t) => {
  const { url, logSystem } = await fastifying(t, (app) =>
    app.get('/fails', async () => {
      await null;
      throw Object.assign(new Error('no price'), { code: 'E_PRICE' });
    }),
  );
  assert.equal((await fetch(`${url}/fails`)).status, 500);
  await until(() => logSystem.last);
  const { level, metadata } = logSystem.last;
  assert.equal(level, 'ERROR');
  assert.deepEqual(
    [metadata.error, metadata.error_code],
    ['no price', 'E_PRICE'],
  );
});
