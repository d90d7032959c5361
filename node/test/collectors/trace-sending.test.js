'use strict';

/** Requests to other services carry the trace that they are made for. */

const assert = require('node:assert/strict');
const http = require('node:http');
const { afterEach, beforeEach, test } = require('node:test');

const { sendTraceparent } = require('../../src/collectors/trace-sending.js');
const { Trace, withTrace } = require('../../src/collectors/trace.js');

/** Another service, which answers with the header that it was sent. */
let server;
/** @type {string} */
let url;
/** @type {() => void} */
let end = () => {};

beforeEach(async () => {
  server = http.createServer((request, response) =>
    response.end(request.headers.traceparent ?? 'none'),
  );
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${server.address().port}/`;
});

afterEach(() => {
  end();
  server.closeAllConnections();
  server.close();
});

const byFetch = async (options) => (await fetch(url, options)).text();

/** What the service says to `http.get` and to `http.request`. */
function byHttp(options = {}, method = http.get) {
  return new Promise((resolve, reject) => {
    const request = method(url, { agent: false, ...options }, (response) => {
      let text = '';
      response.on('data', (piece) => (text += piece));
      response.on('end', () => resolve(text));
    });
    request.on('error', reject).end();
  });
}

test('http, fetch and imports of node:http send the header of the trace', async () => {
  end = sendTraceparent();
  const trace = new Trace();
  const { get } = await import('node:http');
  const said = await withTrace(trace, async () => {
    await null;
    return Promise.all([
      byHttp(),
      byHttp({}, http.request),
      byHttp({}, get),
      byFetch(),
    ]);
  });
  assert.deepEqual(said, Array(4).fill(trace.traceparent));
});

test('a request outside of any trace has none, nor has any before and after', async () => {
  const inTrace = () => withTrace(undefined, () => [byHttp(), byFetch()]);
  const before = await Promise.all(inTrace());
  end = sendTraceparent();
  const outside = await Promise.all([byHttp(), byFetch()]);
  end();
  const after = await Promise.all(inTrace());
  const all = [...before, ...outside, ...after];
  assert.deepEqual(all, Array(6).fill('none'));
});

test('a header of the program stays, and hosts that are not named get none', async () => {
  end = sendTraceparent();
  const headers = { traceparent: 'own' };
  const own = await withTrace(undefined, () =>
    Promise.all([byHttp({ headers }), byFetch({ headers })]),
  );
  end();
  end = sendTraceparent({ hosts: ['prices.internal'] });
  const others = await withTrace(undefined, () =>
    Promise.all([byHttp(), byFetch()]),
  );
  assert.deepEqual([...own, ...others], ['own', 'own', 'none', 'none']);
});
