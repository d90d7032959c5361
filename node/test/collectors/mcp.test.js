'use strict';

const assert = require('node:assert/strict');
const { EventEmitter } = require('node:events');
const test = require('node:test');

const { MCPCollector } = require('../../src/collectors/mcp-collector.js');
const { withTrace } = require('../../src/collectors/trace.js');
const { Failing, Recording } = require('./recording.js');

/** A started collector, its bus and what it logged. */
function collecting(options = {}, section = {}) {
  const logSystem = new Recording({ recursive_mcp: section });
  const eventBus = new EventEmitter();
  const collector = new MCPCollector(logSystem, { eventBus, ...options });
  return { logSystem, eventBus, collector: collector.start() };
}

test('A request is an INFO with its method, params and id.', (t) => {
  const { logSystem, eventBus, collector } = collecting();
  t.after(() => collector.stop());

  eventBus.emit('mcp:request', {
    method: 'tools/call',
    params: { name: 'add', arguments: { a: 1 } },
    id: 7,
    trace_id: 'abc',
  });

  assert.deepEqual(logSystem.entries, [
    {
      source: 'recursive_mcp',
      level: 'INFO',
      message: 'MCP tools/call called',
      metadata: {
        method: 'tools/call',
        params: { name: 'add', arguments: { a: 1 } },
        request_id: '7',
        tool: 'add',
      },
      tags: ['mcp', 'api'],
      trace_id: 'abc',
    },
  ]);
});

test('A response is an INFO with the duration, of the trace of its request.', (t) => {
  let now = 100;
  const { logSystem, eventBus, collector } = collecting({ now: () => now });
  t.after(() => collector.stop());

  eventBus.emit('mcp:request', { method: 'tools/list', id: 1 });
  now = 112.5;
  eventBus.emit('mcp:response', { id: 1 });

  const [request, response] = logSystem.entries;
  assert.equal(response.message, 'MCP tools/list completed');
  assert.equal(response.level, 'INFO');
  assert.equal(response.metadata.duration_ms, 12.5);
  assert.deepEqual(response.tags, ['mcp', 'api', 'success']);
  assert.match(response.trace_id, /^[0-9a-f]{32}$/);
  assert.equal(response.trace_id, request.trace_id);
});

test('A failed response is an ERROR with the error and its code.', (t) => {
  const { logSystem, eventBus, collector } = collecting();
  t.after(() => collector.stop());

  eventBus.emit('mcp:response', {
    method: 'tools/call',
    requestId: 'r1',
    durationMs: 3,
    error: { code: -32602, message: 'unknown tool' },
  });

  assert.equal(logSystem.last.level, 'ERROR');
  assert.equal(logSystem.last.message, 'MCP tools/call failed');
  assert.deepEqual(logSystem.last.tags, ['mcp', 'api', 'error']);
  assert.deepEqual(logSystem.last.metadata, {
    method: 'tools/call',
    request_id: 'r1',
    duration_ms: 3,
    error: 'unknown tool',
    error_code: -32602,
  });
});

test("A tool's own failure is an ERROR too: the protocol calls it a result.", (t) => {
  const { logSystem, eventBus, collector } = collecting();
  t.after(() => collector.stop());

  eventBus.emit('mcp:response', {
    method: 'tools/call',
    id: 1,
    result: {
      isError: true,
      content: [{ type: 'text', text: 'no such file' }],
    },
  });

  assert.equal(logSystem.last.level, 'ERROR');
  assert.equal(logSystem.last.metadata.error, 'no such file');
});

test('auto_trace: false leaves events without a trace as they are.', (t) => {
  const { logSystem, eventBus, collector } = collecting(
    {},
    { auto_trace: false },
  );
  t.after(() => collector.stop());

  eventBus.emit('mcp:request', { method: 'ping', id: 1 });

  assert.equal('trace_id' in logSystem.last, false);
});

test('A call within a traced request has the trace of the request.', (t) => {
  const { logSystem, eventBus, collector } = collecting();
  t.after(() => collector.stop());
  const traceId = 'a'.repeat(32);

  withTrace(traceId, () =>
    eventBus.emit('mcp:request', { method: 'ping', id: 1 }),
  );

  assert.equal(logSystem.last.trace_id, traceId);
});

test('Secrets in params are masked, and params are cut.', (t) => {
  const { logSystem, eventBus, collector } = collecting();
  t.after(() => collector.stop());
  const params = { api_key: 'k-1', note: 'x'.repeat(100_000), user: 'ann' };

  eventBus.emit('mcp:request', { method: 'm', id: 1, params });

  const kept = logSystem.last.metadata.params;
  assert.equal(kept.api_key, '[redacted]');
  assert.equal(kept.user, 'ann');
  assert.ok(JSON.stringify(kept).length < 9000);
  assert.equal(collector.counters.redacted, 1);
  assert.equal(params.api_key, 'k-1');
});

test('A call without a response is reported once, with how long it was waited for.', (t) => {
  let now = 0;
  const { logSystem, eventBus, collector } = collecting(
    { now: () => now },
    { timeout_seconds: 1 },
  );
  t.after(() => collector.stop());

  eventBus.emit('mcp:request', {
    method: 'tools/call',
    id: 1,
    params: { name: 'slow' },
  });
  now = 1000;
  collector.expire();
  collector.expire();

  assert.equal(logSystem.entries.length, 2);
  assert.equal(logSystem.last.level, 'WARN');
  assert.equal(logSystem.last.message, 'MCP tools/call has no response');
  assert.equal(logSystem.last.metadata.waited_ms, 1000);
  assert.equal(logSystem.last.metadata.tool, 'slow');
  assert.equal(collector.counters.expired, 1);
});

test('Calls that are waited for are bounded: the oldest is reported and forgotten.', (t) => {
  const { logSystem, eventBus, collector } = collecting({ maxPending: 2 });
  t.after(() => collector.stop());

  for (const id of [1, 2, 3]) eventBus.emit('mcp:request', { method: 'm', id });

  assert.equal(collector.counters.pending, 2);
  const expired = logSystem.entries.filter((entry) => entry.level === 'WARN');
  assert.deepEqual(
    expired.map((entry) => entry.metadata.request_id),
    ['1'],
  );
});

test('After stop() nothing is logged, and nothing listens.', () => {
  const { logSystem, eventBus, collector } = collecting();

  collector.stop();
  eventBus.emit('mcp:request', { method: 'm', id: 1 });

  assert.equal(logSystem.entries.length, 0);
  assert.equal(eventBus.listenerCount('mcp:request'), 0);
});

test('What is no event costs nothing but a count, and a failing log system too.', (t) => {
  const eventBus = new EventEmitter();
  const collector = new MCPCollector(new Failing(), { eventBus }).start();
  t.after(() => collector.stop());
  const hostile = {
    get method() {
      throw new Error('host');
    },
  };

  for (const event of [undefined, null, 'text', 7, hostile, {}, {}]) {
    eventBus.emit('mcp:request', event);
    eventBus.emit('mcp:response', event);
  }

  return new Promise((resolve) => setImmediate(resolve)).then(() =>
    assert.ok(collector.counters.failed >= 10),
  );
});

test('enabled: false listens to nothing.', () => {
  const { eventBus } = collecting({}, { enabled: false });

  assert.equal(eventBus.listenerCount('mcp:request'), 0);
});
