'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const http = require('node:http');
const { after, before, beforeEach, test } = require('node:test');

const {
  JSONRPCClient,
  RPCCallFailed,
  RPCError,
} = require('../../src/utils/json-rpc-client.js');
const { FaultyProxy } = require('../faulty-proxy.js');
const { freePort, startPipeline, until } = require('../pipeline.js');

/** @type {import('../pipeline.js').Pipeline} */
let pipeline;
/** @type {FaultyProxy} */
let proxy;

before(async () => {
  pipeline = await startPipeline();
  proxy = await new FaultyProxy(pipeline.port).start();
});

after(async () => {
  await proxy?.close();
  await pipeline?.close();
});

beforeEach(() => {
  proxy.fault = 'none';
});

/** A server that answers each request with the next of these. */
async function scripted(...answers) {
  const requests = [];
  const server = http.createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const call = JSON.parse(text);
    requests.push({ call, request });
    const next = answers[Math.min(requests.length, answers.length) - 1];
    response.end(JSON.stringify({ jsonrpc: '2.0', id: call.id, ...next }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}`;
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url, requests, close };
}

const busy = (more) => ({
  error: { code: -32003, message: 'busy, retry after', data: more },
});

test('a call gives the result, with the root or the path as endpoint', async () => {
  for (const endpoint of [pipeline.url, `${pipeline.url}/rpc`]) {
    const client = new JSONRPCClient(endpoint);
    const { status } = await client.call('health');
    assert.equal(status, 'ok');
  }
});

test('an error of the gateway has its code and data', async () => {
  const client = new JSONRPCClient(pipeline.url);
  await assert.rejects(client.call('query', { limt: 5 }), (error) => {
    assert.ok(error instanceof RPCError);
    assert.equal(error.message, 'RPC Error: Invalid params');
    assert.equal(error.code, -32602);
    assert.deepEqual(error.data.nearest, ['limit']);
    return true;
  });
});

test('a gateway that is away is a failed call with the code of the system', async () => {
  const client = new JSONRPCClient(`http://localhost:${await freePort()}`);
  await assert.rejects(client.call('health'), (error) => {
    assert.ok(error instanceof RPCCallFailed);
    assert.match(error.message, /^RPC Call Failed: connect ECONNREFUSED/);
    assert.equal(error.code, 'ECONNREFUSED');
    assert.ok(error.cause instanceof Error);
    return true;
  });
});

test('an endpoint that is no address is refused at once', () => {
  assert.throws(() => new JSONRPCClient('8888'), /endpoint: "8888"/);
});

test('params that JSON cannot hold are a failed call', async () => {
  const client = new JSONRPCClient(pipeline.url);
  await assert.rejects(client.call('query', { limit: 5n }), {
    message: /^RPC Call Failed: params can't be written as JSON/,
  });
});

test('ids count the calls of a client', async () => {
  const server = await scripted({ result: 1 });
  const client = new JSONRPCClient(server.url);
  for (let count = 0; count < 3; count++) await client.call('health');
  server.close();
  assert.deepEqual(
    server.requests.map(({ call }) => call.id),
    [1, 2, 3],
  );
});

test('calls share a connection', async () => {
  const earlier = proxy.connections;
  const client = new JSONRPCClient(proxy.url);
  for (let count = 0; count < 20; count++) await client.call('health');
  // the second is opened when the first is not yet known to be free
  assert.ok(proxy.connections - earlier <= 2);
});

test('many calls at once are no leak, as Node would warn of', async () => {
  const warnings = [];
  const listen = (warning) => warnings.push(warning);
  process.on('warning', listen);
  const client = new JSONRPCClient(pipeline.url);
  const calls = Array.from({ length: 30 }, () => client.call('get_limits'));
  await Promise.all(calls);
  process.off('warning', listen);
  assert.deepEqual(warnings, []);
});

test('a fetch of the host is used where it is given', async () => {
  const seen = [];
  const client = new JSONRPCClient(pipeline.url, {
    fetch: (address, options) => {
      seen.push(address);
      return fetch(address, options);
    },
  });
  assert.equal((await client.call('health')).status, 'ok');
  assert.deepEqual(seen, [`${pipeline.url}/rpc`]);
});

test('headers go along', async () => {
  const server = await scripted({ result: 1 });
  const client = new JSONRPCClient(server.url, { headers: { 'x-key': 'k' } });
  await client.call('health');
  server.close();
  assert.equal(server.requests[0].request.headers['x-key'], 'k');
});

test('a gateway that hangs is given up after the time-out', async () => {
  proxy.fault = 'hang';
  const client = new JSONRPCClient(proxy.url, { timeoutMs: 100 });
  await assert.rejects(client.call('health'), {
    message: 'RPC Call Failed: no answer within 100 ms',
    code: 'ETIMEDOUT',
  });
  assert.equal(client.retried, 0);
});

test('a signal ends a call, before it and during it', async () => {
  proxy.fault = 'hang';
  const client = new JSONRPCClient(proxy.url);
  const abort = new AbortController();
  const call = client.call('health', {}, { signal: abort.signal });
  setTimeout(() => abort.abort(new Error('enough')), 50);
  const expected = { message: 'RPC Call Failed: enough', code: 'ABORT_ERR' };
  await assert.rejects(call, expected);
  await assert.rejects(
    client.call('health', {}, { signal: abort.signal }),
    expected,
  );
});

test('close ends all calls', async () => {
  proxy.fault = 'hang';
  const client = new JSONRPCClient(proxy.url);
  const call = client.call('health');
  setTimeout(() => client.close(), 50);
  await assert.rejects(call, {
    message: 'RPC Call Failed: the client is closed',
  });
});

for (const fault of /** @type {const} */ (['reset', 'busy', 'half'])) {
  test(`a question is asked again when the answer is: ${fault}`, async () => {
    proxy.fault = fault;
    const client = new JSONRPCClient(proxy.url, { retries: 50 });
    const call = client.call('health');
    await until(() => client.retried > 0, 'a retry');
    proxy.fault = 'none';
    assert.equal((await call).status, 'ok');
  });

  test(`an entry is not logged again when the answer is: ${fault}`, async () => {
    proxy.fault = fault;
    const client = new JSONRPCClient(proxy.url, { retries: 50 });
    const entry = { source: `once-${fault}`, message: 'm' };
    await assert.rejects(client.call('log', entry), /^RPCCallFailed: RPC Call/);
    assert.equal(client.retried, 0);
  });
}

test('a numbered batch is sent again', async () => {
  const server = await scripted(busy({ retry_after_ms: 1 }), { result: 7 });
  const client = new JSONRPCClient(server.url);
  const numbers = { producer: '0'.repeat(32), sequence: 1 };
  assert.equal(await client.call('log_batch', { logs: [], ...numbers }), 7);
  await assert.rejects(
    (await scriptedClient(busy())).call('log_batch', { logs: [] }),
    RPCError,
  );
  server.close();
});

async function scriptedClient(...answers) {
  const server = await scripted(...answers);
  after(server.close);
  return new JSONRPCClient(server.url);
}

test('a busy gateway is asked again after the time that it names', async () => {
  const client = await scriptedClient(busy({ retry_after_ms: 300 }), {
    result: 'done',
  });
  const start = performance.now();
  assert.equal(await client.call('query'), 'done');
  assert.ok(performance.now() - start >= 300);
});

test('an error that asking again does not mend is told at once', async () => {
  const error = { code: -32602, message: 'Invalid params' };
  const client = await scriptedClient({ error }, { result: 1 });
  await assert.rejects(client.call('query'), { code: -32602 });
});

test('an answer to another call is none', async () => {
  const client = await scriptedClient({ id: 99, result: 1 });
  await assert.rejects(client.call('log', {}), {
    message: /no JSON-RPC reply to this call/,
    code: 'EPROTO',
  });
});

test('a page that is no JSON-RPC is a failed call with its status', async () => {
  const server = http.createServer((_, response) => {
    response.writeHead(404).end('no such page');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => server.close());
  const client = new JSONRPCClient(`http://127.0.0.1:${server.address().port}`);
  await assert.rejects(client.call('health'), {
    message: 'RPC Call Failed: HTTP 404: no such page',
    status: 404,
  });
});
