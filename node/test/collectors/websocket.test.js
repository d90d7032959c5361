'use strict';

const assert = require('node:assert/strict');
const { EventEmitter } = require('node:events');
const http = require('node:http');
const test = require('node:test');
const { WebSocket, WebSocketServer } = require('ws');

const {
  WebSocketCollector,
} = require('../../src/collectors/websocket-collector.js');
const { Recording } = require('./recording.js');
const { listening, until } = require('./serving.js');

/** A started collector, its bus and what it logged. */
function collecting(t, section = {}, options = {}) {
  const logSystem = new Recording({ recursive_websocket: section });
  const eventBus = new EventEmitter();
  const collector = new WebSocketCollector(logSystem, { eventBus, ...options });
  t.after(() => collector.stop());
  return { logSystem, eventBus, collector: collector.start() };
}

test('A connection is an INFO with who it is.', (t) => {
  const { logSystem, eventBus } = collecting(t);

  eventBus.emit('websocket:connection', {
    connection_id: 'c1',
    ip: '10.0.0.1',
    user_agent: 'probe/1',
  });

  assert.deepEqual(logSystem.entries, [
    {
      source: 'recursive_websocket',
      level: 'INFO',
      message: 'WebSocket connected',
      metadata: {
        event: 'connection',
        connection_id: 'c1',
        ip: '10.0.0.1',
        user_agent: 'probe/1',
      },
      tags: ['websocket', 'connection'],
    },
  ]);
});

test('A message is a DEBUG with its type and size, never its text.', (t) => {
  const { logSystem, eventBus } = collecting(t, { log_messages: true });

  eventBus.emit('websocket:message', {
    connectionId: 'c1',
    type: 'chat',
    data: 'h\u00e9llo',
  });

  assert.equal(logSystem.last.level, 'DEBUG');
  assert.deepEqual(logSystem.last.metadata, {
    event: 'message',
    type: 'chat',
    size: 6,
    connection_id: 'c1',
  });
});

test('log_messages: false logs no message and counts each.', (t) => {
  let now = 0;
  const { logSystem, eventBus, collector } = collecting(
    t,
    { log_messages: false },
    { now: () => now },
  );

  eventBus.emit('websocket:connection', { connection_id: 'c1' });
  eventBus.emit('websocket:message', { connection_id: 'c1', size: 10 });
  eventBus.emit('websocket:message', { connection_id: 'c1', size: 5 });
  now = 250;
  eventBus.emit('websocket:close', { connection_id: 'c1', code: 1000 });

  assert.equal(collector.counters.messages, 2);
  assert.equal(collector.counters.bytes, 15);
  assert.equal(collector.counters.open, 0);
  assert.equal(logSystem.entries.length, 2);
  assert.equal(logSystem.last.level, 'INFO');
  assert.deepEqual(logSystem.last.metadata, {
    event: 'close',
    connection_id: 'c1',
    code: 1000,
    duration_ms: 250,
    messages: 2,
    bytes: 15,
  });
});

test('A connection that breaks is a WARN, and one that fails an ERROR.', (t) => {
  const { logSystem, eventBus } = collecting(t);

  eventBus.emit('websocket:close', { connection_id: 'c1', code: 1006 });
  assert.equal(logSystem.last.level, 'WARN');

  const error = Object.assign(new Error('reset'), { code: 'ECONNRESET' });
  eventBus.emit('websocket:error', { connection_id: 'c1', error });
  assert.equal(logSystem.last.level, 'ERROR');
  assert.equal(logSystem.last.metadata.error, 'reset');
  assert.equal(logSystem.last.metadata.error_code, 'ECONNRESET');
});

test('A server of ws is followed without any event of the bus.', async (t) => {
  const { logSystem, collector } = collecting(t, { log_messages: true });
  const server = http.createServer();
  const sockets = new WebSocketServer({ server });
  collector.attach(sockets);
  sockets.on('connection', (socket) =>
    socket.on('message', (data) => socket.send(`echo ${data}`)),
  );
  const port = await listening(t, server);

  const client = new WebSocket(`ws://127.0.0.1:${port}/live`, {
    headers: {
      traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    },
  });
  client.on('open', () => client.send('12345'));
  const echo = await new Promise((resolve) => client.once('message', resolve));
  client.close(1000, 'done');
  await until(() => logSystem.entries.length === 3);

  assert.equal(String(echo), 'echo 12345');
  const [connected, message, closed] = logSystem.entries;
  assert.equal(connected.metadata.path, '/live');
  assert.equal(connected.metadata.ip, '127.0.0.1');
  assert.equal(message.metadata.size, 5);
  assert.equal(closed.metadata.reason, 'done');
  assert.equal(closed.metadata.messages, 1);
  for (const entry of logSystem.entries) {
    assert.equal(entry.trace_id, '4bf92f3577b34da6a3ce929d0e0e4736');
  }
});

test('A socket whose errors nobody handles throws them as it would.', (t) => {
  const { logSystem, collector } = collecting(t);
  const server = new EventEmitter();
  collector.attach(server);
  const socket = new EventEmitter();
  server.emit('connection', socket, { headers: {}, socket: {}, url: '/' });

  assert.throws(
    () => socket.emit('error', new Error('unhandled')),
    /unhandled/,
  );
  assert.equal(logSystem.last.level, 'ERROR');
});
