'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');

const { LogSystemBridge } = require('../src/index.js');
const { tryStartLock } = require('../src/process/start-lock.js');
const { ownConfig, processesIn } = require('./bridging.js');
const { freePort, until } = require('./pipeline.js');

/** The error of a bridge that can't start. */
async function startError(t, options) {
  const bridge = new LogSystemBridge({ ...(await ownConfig(t)), ...options });
  t.after(() => bridge.stop());
  const began = Date.now();
  const error = await bridge.start().then(
    () => assert.fail('it started'),
    (reason) => reason,
  );
  return { error, bridge, took: Date.now() - began };
}

/** Listen until the test ends. */
async function listen(t, server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return server.address().port;
}

/** An interpreter that is a shell script. */
function script(t, cwd, lines) {
  const file = path.join(cwd, 'python');
  fs.writeFileSync(file, `#!/bin/sh\n${lines}\n`, { mode: 0o755 });
  return file;
}

test("a server of someone else's at the port is named, and nothing is started", async (t) => {
  const server = http.createServer((_request, response) => {
    response.setHeader('X-Powered-By', 'Express');
    response.end('{"status":"ok"}');
  });
  const port = await listen(t, server);
  const { error, bridge } = await startError(t, { port });

  assert.equal(error.code, 'LOG_SYSTEM_ADDRESS_TAKEN');
  assert.match(error.message, /HTTP 200 from Express for \/health\/ready/);
  assert.match(
    error.message,
    /stop it, or give the log system another server\.port/,
  );
  assert.deepEqual(processesIn(bridge.config.cwd), []);
});

test('so is one that speaks no HTTP', async (t) => {
  const server = net.createServer((socket) => socket.end('220 mail ready\r\n'));
  const { error } = await startError(t, { port: await listen(t, server) });

  assert.equal(error.code, 'LOG_SYSTEM_ADDRESS_TAKEN');
});

test('a pipeline that ends is reported at once, with its last words', async (t) => {
  const { error, took } = await startError(t, {
    ingest: { endpoint: 'tcp://127.0.0.1:1' },
    publish: { endpoint: 'tcp://127.0.0.1:1' },
    startTimeoutMs: 120_000,
  });

  assert.equal(error.code, 'LOG_SYSTEM_START');
  assert.match(
    error.lastWords.at(-1),
    /tcp:\/\/127\.0\.0\.1:1 is ingest\.endpoint too/,
  );
  assert.ok(took < 60_000, `${took} ms of 120,000`);
});

test('interpreters without the pipeline are passed over; the error has the line to install it', async (t) => {
  const config = await ownConfig(t);
  const python = script(
    t,
    config.cwd,
    'echo "No module named pipeline"; exit 1',
  );
  const environment = path.join(config.cwd, '.venv', 'bin');
  fs.mkdirSync(environment, { recursive: true });
  fs.renameSync(python, path.join(environment, 'python'));
  const bridge = new LogSystemBridge({
    ...config,
    pythonPath: 'no-such-python',
    env: { PATH: environment, HOME: config.cwd },
  });

  await assert.rejects(bridge.start(), (error) => {
    assert.equal(error.code, 'LOG_SYSTEM_PYTHON');
    assert.deepEqual(error.tried, [
      'no-such-python (it is not there)',
      `${environment}/python (No module named pipeline)`,
      'python3 (it is not there)',
    ]);
    assert.match(
      error.message,
      /Install it: python3 -m venv \.venv && \.venv\/bin\/pip install /,
    );
    return true;
  });
  await bridge.stop();
});

test("a folder `pipeline` of the host's is not taken for the module", async (t) => {
  const config = await ownConfig(t);
  const folder = path.join(config.cwd, 'pipeline');
  fs.mkdirSync(folder);
  for (const name of ['__init__.py', '__main__.py'])
    fs.writeFileSync(path.join(folder, name), 'print("of the host")\n');
  const bridge = new LogSystemBridge(config);
  t.after(() => bridge.stop());
  const lines = [];
  bridge.on('line', (line) => lines.push(line));
  await bridge.start();

  assert.notEqual(bridge.pid, null);
  assert.ok(!lines.includes('of the host'));
});

test('who comes by the thousand after a failure starts nothing by the thousand', async (t) => {
  const { error, bridge } = await startError(t, {
    startTimeoutMs: 100,
    autoStart: false,
  });
  const again = Array.from({ length: 1000 }, () => bridge.start());
  const reasons = (await Promise.allSettled(again)).map(({ reason }) => reason);

  assert.deepEqual(new Set(reasons), new Set([error]));
});

test('without autoStart it waits for a pipeline that another starts', async (t) => {
  const { error, bridge } = await startError(t, {
    autoStart: false,
    startTimeoutMs: 200,
  });
  assert.match(
    error.message,
    /nothing answers at .*: start it \(pipeline up\), or set autoStart/,
  );

  // it goes on looking: the host needs no second start()
  const reply = { ready: true, reasons: [] };
  const server = http.createServer((_request, response) => {
    response.end(JSON.stringify(reply));
  });
  server.listen(bridge.config.port, '127.0.0.1');
  t.after(() => server.close());
  await until(() => bridge.isReady, 'the bridge is ready');
});

test('stop() ends a start that waits, and no process is left', async (t) => {
  const config = await ownConfig(t);
  const bridge = new LogSystemBridge(config);
  const starting = bridge.start();
  await until(() => processesIn(config.cwd).length > 0, 'a process');
  const stopping = bridge.stop();

  await assert.rejects(starting, { code: 'LOG_SYSTEM_STOPPED' });
  await stopping;
  assert.deepEqual(processesIn(config.cwd), []);
});

test('the lock of a port is had by one at a time', async () => {
  const port = await freePort();
  const lock = await tryStartLock(port);

  assert.equal(await tryStartLock(port), null);
  await lock.release();
  const again = await tryStartLock(port);
  assert.notEqual(again, null);
  await again.release();
});

test('a port that nobody can be asked at is refused by name', () => {
  for (const port of [0, 65536, '8888', 1.5]) {
    assert.throws(
      () => new LogSystemBridge({ port }),
      /^ConfigError: server\.port: /,
    );
  }
});
