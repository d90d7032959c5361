'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { Worker } = require('node:worker_threads');

const { Sender } = require('../../src/delivery/sender.js');
const { JSONRPCClient } = require('../../src/utils/json-rpc-client.js');
const { freePort, startPipeline, until } = require('../pipeline.js');

const HOST = path.join(__dirname, '..', 'programs', 'logging-host.js');

/** @type {import('../pipeline.js').Pipeline} */
let pipeline;

before(async () => {
  pipeline = await startPipeline();
});

after(() => pipeline?.close());

/** A program that logs; what it said so far is in `said`. */
function host(how, { url = pipeline.url, folder = pipeline.spoolDir } = {}) {
  // with a gateway there, as long as a slow machine needs
  const farewellMs = url === pipeline.url ? 20_000 : 2_000;
  const args = [HOST, url, folder, how, how, String(farewellMs)];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const running = { child, said: '', failed: '', ended: once(child, 'close') };
  child.stdout.on('data', (text) => (running.said += text));
  child.stderr.on('data', (text) => (running.failed += text));
  return running;
}

/** Distinct numbers that are stored, and how many entries there are. */
async function stored(source) {
  const logs = await pipeline.logs(source);
  const numbers = new Set(logs.map(({ message }) => message));
  return { numbers, entries: logs.length };
}

/** @type {Array<[string, number | null, string | null]>} */
const ENDS = [
  ['naturally', 0, null],
  ['exit', 3, null],
  ['throw', 1, null],
  ['reject', 1, null],
  ['handled', 0, null],
  ['term', null, 'SIGTERM'],
  ['term-handled', 7, null],
];

for (const [how, code, signal] of ENDS) {
  test(`a host that ends by ${how} ends as without a sender, and all is stored`, async () => {
    const folder = path.join(pipeline.path, `spool-${how}`);
    const running = host(how, { folder });
    assert.deepEqual(await running.ended, [code, signal], running.failed);
    const { numbers, entries } = await stored(how);
    assert.equal(numbers.size, 500);
    assert.equal(entries, 500);
    assert.deepEqual(fs.existsSync(folder) ? fs.readdirSync(folder) : [], []);
  });
}

test('what a crashing host says of its error is on standard error', async () => {
  const running = host('throw');
  await running.ended;
  assert.match(running.failed, /Error: the host has failed/);
});

test('a host whose gateway is away ends at once, and the next one sends it', async () => {
  const folder = path.join(pipeline.path, 'spool-away');
  const url = `http://127.0.0.1:${await freePort()}`;
  const running = host('throw', { url, folder });
  const [code] = await running.ended;
  assert.equal(code, 1);
  assert.ok(fs.readdirSync(folder).length > 0);

  await adopt(folder);
  assert.deepEqual(fs.readdirSync(folder), []);
  const { numbers, entries } = await stored('throw');
  assert.equal(numbers.size, 500);
  // of this host, and of the ones above with the same source
  assert.equal(entries % 500, 0);
});

/** A sender that takes over what is left in a folder. */
async function adopt(folder, spools = 1) {
  const client = new JSONRPCClient(pipeline.url);
  const sender = new Sender({ client, spoolDir: folder });
  await until(() => sender.counters.adoptedSpools >= spools, 'adoption');
  await sender.close();
}

test('a killed host has stored what it was told is stored, none twice', async () => {
  const running = host('ever');
  await until(() => running.said.split('\n').length > 2_000, 'entries');
  running.child.kill('SIGKILL');
  await running.ended;
  const told = running.said.split('\n').slice(0, -1);
  const { numbers, entries } = await stored('ever');
  assert.deepEqual(
    told.filter((number) => !numbers.has(number)),
    [],
  );
  assert.equal(entries, numbers.size);
});

test('what a killed host has spooled is sent by one of two that start together', async () => {
  const folder = path.join(pipeline.path, 'spool-killed');
  const url = `http://127.0.0.1:${await freePort()}`;
  const running = host('spooled', { url, folder });
  await until(() => running.said.includes('spooled'), 'the spool');
  running.child.kill('SIGKILL');
  await running.ended;

  const client = new JSONRPCClient(pipeline.url);
  const senders = [1, 2].map(
    () => new Sender({ client, spoolDir: folder, farewellMs: 0 }),
  );
  await until(() => fs.readdirSync(folder).length === 0, 'adoption');
  const adopted = senders.map(({ counters }) => counters.adoptedSpools);
  await Promise.all(senders.map((sender) => sender.close()));

  assert.deepEqual(adopted.sort(), [0, 1]);
  const { numbers, entries } = await stored('spooled');
  assert.deepEqual([numbers.size, entries], [500, 500]);
});

test('the spool of a process that runs is left alone', async () => {
  const folder = path.join(pipeline.path, 'spool-running');
  const url = `http://127.0.0.1:${await freePort()}`;
  const running = host('spooled', { url, folder });
  await until(() => running.said.includes('spooled'), 'the spool');
  const files = fs.readdirSync(folder);

  const client = new JSONRPCClient(pipeline.url);
  const sender = new Sender({ client, spoolDir: folder });
  await sender.log({ source: 'beside', message: 'm' });
  assert.deepEqual(fs.readdirSync(folder), files);
  await sender.close();
  running.child.kill('SIGKILL');
  await running.ended;
});

test('each thread is a producer of its own', async () => {
  const program = `
    const { workerData } = require('node:worker_threads');
    const { Sender } = require(workerData.sender);
    const { JSONRPCClient } = require(workerData.client);
    const client = new JSONRPCClient(workerData.url);
    const sender = new Sender({ client, spoolDir: workerData.folder });
    for (let n = 0; n < 300; n++) sender.log({ source: 'threads', message: sender.producer + n });
    sender.close();`;
  const workerData = {
    sender: require.resolve('../../src/delivery/sender.js'),
    client: require.resolve('../../src/utils/json-rpc-client.js'),
    url: pipeline.url,
    folder: pipeline.spoolDir,
  };
  const workers = [1, 2, 3].map(
    () => new Worker(program, { eval: true, workerData }),
  );
  await Promise.all(workers.map((worker) => once(worker, 'exit')));
  const { numbers, entries } = await stored('threads');
  assert.deepEqual([numbers.size, entries], [900, 900]);
});
