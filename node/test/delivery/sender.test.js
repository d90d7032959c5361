'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { after, afterEach, before, test } = require('node:test');

const { Sender } = require('../../src/delivery/sender.js');
const { JSONRPCClient } = require('../../src/utils/json-rpc-client.js');
const { FaultyProxy } = require('../faulty-proxy.js');
const { freePort, sleep, startPipeline, until } = require('../pipeline.js');

/** @type {import('../pipeline.js').Pipeline} */
let pipeline;
/** @type {FaultyProxy} */
let proxy;
/** @type {Sender[]} */
const senders = [];
let folders = 0;

before(async () => {
  pipeline = await startPipeline({ gateway__durable_timeout_seconds: 2 });
  proxy = await new FaultyProxy(pipeline.port).start();
});

after(async () => {
  await proxy?.close();
  await pipeline?.close();
});

afterEach(async () => {
  proxy.fault = 'none';
  await Promise.all(senders.splice(0).map((sender) => sender.close(0)));
});

/** A sender with a folder of its own. */
function sending(options = {}, url = pipeline.url) {
  const spoolDir = path.join(pipeline.path, `spool-${++folders}`);
  const client = new JSONRPCClient(url);
  const sender = new Sender({ client, spoolDir, ...options });
  senders.push(sender);
  return sender;
}

/** Logs entries whose messages are their numbers. */
function logMany(sender, source, count, first = 0) {
  return Array.from({ length: count }, (_, index) =>
    sender.log({ source, message: String(first + index) }),
  );
}

async function assertOnce(source, count) {
  const logs = await pipeline.logs(source);
  const numbers = new Set(logs.map(({ message }) => message));
  assert.deepEqual([numbers.size, logs.length], [count, count]);
}

test('log gives the id that the entry has in the store', async () => {
  const sender = sending();
  const outcome = await sender.log({ source: 'id', message: 'm', tags: ['t'] });
  const [entry] = await pipeline.logs('id');
  assert.deepEqual(outcome, { status: 'received', id: entry.id });
  assert.deepEqual(entry.tags, ['t']);
});

test('the time of an entry is that of the call, in nanoseconds', async () => {
  const sender = sending({ now: () => '1790000000123456789' });
  sender.log({ source: 'time', message: 'own' });
  sender.log({ source: 'time', message: 'given', timestamp: 1_780_000_000 });
  await sender.flush();
  const times = (await pipeline.logs('time')).map((entry) => entry.timestamp);
  assert.deepEqual(times, [
    '2026-05-28T20:26:40.000000000Z',
    '2026-09-21T14:13:20.123456789Z',
  ]);
});

test('entries keep the order of their calls', async () => {
  const sender = sending({ batchEntries: 7 });
  logMany(sender, 'order', 500);
  await sender.flush();
  const logs = await pipeline.logs('order');
  assert.deepEqual(
    logs.map(({ message }) => Number(message)),
    [...Array(500).keys()],
  );
});

test('an entry that is changed after the call is stored as it was', async () => {
  const sender = sending();
  const entry = { source: 'changed', message: 'm', metadata: { n: 1 } };
  const outcome = sender.log(entry);
  entry.metadata.n = 2;
  await outcome;
  assert.equal((await pipeline.logs('changed'))[0].metadata.n, 1);
});

test('what the gateway refuses is dropped with its reason, others of the batch are stored', async () => {
  const sender = sending();
  const outcomes = await Promise.all([
    sender.log({ source: 'bad', message: 'good' }),
    sender.log({ source: 'bad' }),
    sender.log({ source: 'bad', message: 'm', colour: 'red' }),
    sender.log('text'),
    sender.log(undefined),
  ]);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['received', ...Array(4).fill('dropped')],
  );
  assert.match(outcomes[1].reason, /^message: missing/);
  assert.match(outcomes[2].reason, /^colour: unknown field/);
  const { logged, stored, rejected, dropped, waiting } = sender.counters;
  assert.deepEqual([logged, stored, waiting], [5, 1, 0]);
  assert.deepEqual(rejected, {
    'message: missing': 1,
    'colour: unknown field': 1,
  });
  assert.deepEqual(dropped, { 'entry: string': 1, 'entry: undefined': 1 });
});

test('an outcome can be asked for when it is long known', async () => {
  const sender = sending();
  const receipt = sender.log({ source: 'late', message: 'm' });
  await sender.flush();
  const first = await receipt;
  assert.equal(first.status, 'received');
  assert.deepEqual(await Promise.all([receipt, receipt]), [first, first]);
  assert.ok(receipt instanceof Promise);
  assert.deepEqual(await receipt.catch(assert.fail).finally(() => 1), first);
});

test('logBatch counts what is stored, refused and given up', async () => {
  const sender = sending();
  const entries = [
    { source: 'many', message: '0' },
    { source: 'many' },
    null,
    { source: 'many', message: '1' },
  ];
  const { accepted, rejected, dropped } = await sender.logBatch(entries, true);
  assert.deepEqual([accepted, dropped], [2, 0]);
  assert.deepEqual(
    rejected.map(({ index }) => index),
    [1, 2],
  );
  assert.equal((await sender.logBatch(undefined)).rejected.length, 1);
});

test('logBatch sends compressed entries when asked to', async () => {
  const bodies = [];
  const fetching = (address, options) => {
    bodies.push(JSON.parse(String(options.body)).params);
    return fetch(address, options);
  };
  const client = new JSONRPCClient(pipeline.url, { fetch: fetching });
  const entries = Array(600).fill({ source: 'packed', message: '0' });
  const { accepted } = await sending({ client }).logBatch(entries, true);
  assert.ok(bodies.some(({ compress, logs }) => compress && logs.length < 9e3));
  assert.equal(accepted, (await pipeline.logs('packed')).length);
});

test('logBatch waits when entries come faster than they are stored', async () => {
  const sender = sending({ memoryBytes: 1 << 20, memoryEntries: 4_000 });
  const numbers = [...Array(12_000).keys()].map(String);
  const entries = numbers.map((message) => ({ source: 'fast', message }));
  assert.equal((await sender.logBatch(entries)).accepted, 12_000);
  await assertOnce('fast', 12_000);
});

test('flush waits for what was logged before, not for what comes after', async () => {
  const sender = sending();
  const timer = setInterval(() => logMany(sender, 'after', 10), 1);
  logMany(sender, 'flush', 2_000);
  assert.equal(await sender.flush(), true);
  clearInterval(timer);
  await assertOnce('flush', 2_000);
  assert.equal(await sending().flush(), true);
});

test('flush gives up in time, and close leaves the rest to the spool', async () => {
  const sender = sending({}, `http://127.0.0.1:${await freePort()}`);
  const outcomes = logMany(sender, 'left', 100);
  assert.equal(await sender.flush(50), false);
  assert.equal(await sender.close(), false);
  for (const { status, reason } of await Promise.all(outcomes)) {
    assert.equal(status, 'dropped');
    assert.match(reason, /lies in the spool/);
  }
  assert.match((await sender.log({})).reason, /closed/);

  const { spoolDir } = sender._settings;
  const next = sending({ spoolDir });
  await until(() => next.counters.adoptedSpools === 1, 'adoption');
  await assertOnce('left', 100);
  assert.equal(next.counters.adoptedEntries, 100);
  assert.deepEqual(fs.readdirSync(spoolDir), []);
});

for (const fault of /** @type {const} */ ([
  'hang',
  'reset',
  'busy',
  'half',
  'mute',
])) {
  test(`each entry is stored once through answers of the kind: ${fault}`, async () => {
    const options = { callTimeoutMs: 200, batchEntries: 20 };
    const sender = sending(options, proxy.url);
    const outcomes = [];
    for (let round = 0; round < 10; round++) {
      proxy.fault = round % 2 ? fault : 'none';
      if (round % 2) proxy.reset();
      outcomes.push(...logMany(sender, `fault-${fault}`, 50, 50 * round));
      await sleep(40);
    }
    proxy.fault = 'none';
    const ids = (await Promise.all(outcomes)).map(({ id }) => id);
    assert.equal(new Set(ids).size, 500);
    await assertOnce(`fault-${fault}`, 500);
    assert.ok(sender.counters.resent > 0);
    assert.equal(sender.counters.stored, 500);
  });
}

test('while the gateway is away entries go to the spool, and from there in their order', async () => {
  const port = await freePort();
  const late = new FaultyProxy(pipeline.port);
  const sender = sending({ batchEntries: 10 }, `http://127.0.0.1:${port}`);
  const outcomes = logMany(sender, 'away', 1_000);
  await until(() => sender.counters.spooled === 1_000, 'the spool');
  assert.equal(sender.counters.memoryBytes, 0);
  assert.equal(sender.isBlocked, true);

  late._server.listen(port, '127.0.0.1');
  sender.hurry();
  await Promise.all(outcomes);
  const logs = await pipeline.logs('away');
  assert.deepEqual(
    logs.map(({ message }) => Number(message)),
    [...Array(1_000).keys()],
  );
  const { spoolDir } = sender._settings;
  await until(() => fs.readdirSync(spoolDir).length === 0, 'an empty folder');
  await late.close();
});

test('the gateway alone and with the ingester may be killed: nothing is lost or doubled', async () => {
  const sender = sending({ batchEntries: 100 });
  const outcomes = [];
  let isDone = false;
  const logging = (async () => {
    while (!isDone) {
      outcomes.push(...logMany(sender, 'killed', 20, outcomes.length));
      await sleep(10);
    }
  })();
  for (const names of [['gateway'], ['gateway', 'ingester']]) {
    const { stored } = sender.counters;
    await until(() => sender.counters.stored > stored + 500, 'entries');
    await Promise.all(names.map((name) => pipeline.kill(name)));
    await pipeline.start(...names);
  }
  isDone = true;
  await logging;
  for (const { status } of await Promise.all(outcomes)) {
    assert.equal(status, 'received');
  }
  await pipeline.ready();
  await assertOnce('killed', outcomes.length);
  assert.equal((await pipeline.call('get_ledger')).balanced, true);
});

test('without a spool, entries beyond the memory go, lowest level first', async () => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const sender = sending({ spoolDir: null, memoryEntries: 100 }, url);
  const log = (level, count) =>
    Array.from({ length: count }, () =>
      sender.log({ source: 's', level, message: 'm' }),
    );
  const warnings = [];
  sender.on('warning', ({ message }) => warnings.push(message));
  const errors = log('ERROR', 60);
  const debugs = log('DEBUG', 60);
  const more = log('ERROR', 30);
  const late = log('DEBUG', 30);
  await sender.close(0);
  const dropped = async (receipts) =>
    (await Promise.all(receipts)).filter(({ reason }) => /full/.test(reason))
      .length;
  assert.deepEqual(warnings, ['the buffer is full: entries are dropped']);
  assert.equal(await dropped([...errors, ...more]), 0);
  assert.ok((await dropped([...debugs, ...late])) >= 80);
});

test('a full spool and a full memory are counted, and what is held is stored later', async () => {
  const port = await freePort();
  const sender = sending(
    { memoryBytes: 1 << 20, spoolBytes: 2 << 20 },
    `http://127.0.0.1:${port}`,
  );
  const message = 'x'.repeat(5_000);
  for (let round = 0; round < 40; round++) {
    for (let index = 0; index < 50; index++) {
      sender.log({ source: 'full', message });
    }
    await sleep(5);
  }
  const { dropped, memoryBytes, spoolBytes } = sender.counters;
  assert.ok(dropped['the buffer is full'] > 0);
  assert.ok(memoryBytes <= 1 << 20);
  assert.ok(spoolBytes > 0 && spoolBytes <= 2 << 20);

  const late = new FaultyProxy(pipeline.port);
  late._server.listen(port, '127.0.0.1');
  sender.hurry();
  assert.equal(await sender.flush(20_000), true);
  const { stored, dropped: gone } = sender.counters;
  assert.equal((await pipeline.logs('full')).length, stored);
  assert.equal(stored + gone['the buffer is full'], 2_000);
  const ledger = await pipeline.call('get_ledger', {
    producer: sender.producer,
  });
  assert.equal(ledger.producers[0].balanced, true);
  await late.close();
});

test('a spool that can not be written is warned of once, and memory serves instead', async () => {
  const spoolDir = path.join(pipeline.path, 'no-folder');
  fs.writeFileSync(spoolDir, '');
  const port = await freePort();
  const sender = sending({ spoolDir }, `http://127.0.0.1:${port}`);
  const warnings = [];
  sender.on('warning', (warning) => warnings.push(warning.message));
  const outcomes = logMany(sender, 'unspooled', 100);
  await until(() => warnings.length > 0, 'a warning');
  assert.match(warnings[0], /^spool .*no-folder: E/);

  const late = new FaultyProxy(pipeline.port);
  late._server.listen(port, '127.0.0.1');
  sender.hurry();
  await Promise.all(outcomes);
  await assertOnce('unspooled', 100);
  assert.equal(warnings.length, 1);
  await late.close();
});

test('numbers that the ingester has forgotten are no obstacle', async () => {
  const sender = sending();
  await sender.log({ source: 'forgotten', message: '0' });
  // as after a power cut, or 30 days: the store knows less than the sender
  sender._nextNumber += 1_000;
  const outcome = await sender.log({ source: 'forgotten', message: '1' });
  assert.equal(outcome.status, 'received');
  await assertOnce('forgotten', 2);
});

test('50,000 calls in one tick are all stored, and cost a bounded memory', async () => {
  const sender = sending();
  const earlier = process.memoryUsage().rss;
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage().rss - earlier);
  }, 5);
  for (let index = 0; index < 50_000; index++) {
    sender.log({
      source: 'tick',
      message: `entry ${index}`,
      metadata: { index },
    });
  }
  assert.equal(await sender.flush(60_000), true);
  clearInterval(timer);
  assert.equal(sender.counters.stored, 50_000);
  assert.ok(most < 200 << 20, `${most >> 20} MiB`);
  await assertOnce('tick', 50_000);
});

test('200 MB in one tick are dropped beyond the limit of memory', async () => {
  const sender = sending();
  const message = 'x'.repeat(10_000);
  for (let index = 0; index < 20_000; index++) {
    sender.log({ source: 'flood', message });
  }
  assert.ok(sender.counters.memoryBytes <= 32 << 20);
  assert.equal(await sender.flush(60_000), true);
  const { stored, dropped } = sender.counters;
  assert.equal(stored + dropped['the buffer is full'], 20_000);
});

test('an option that is wrong is named', () => {
  const client = new JSONRPCClient(pipeline.url);
  assert.throws(() => new Sender({}), /client: undefined; expected a JSONRPC/);
  assert.throws(() => new Sender({ client, producer: 'x' }), /producer: x/);
  assert.throws(
    () => new Sender({ client, batchEntries: 1e6 }),
    /batchEntries: 1000000; expected a whole number from 0 to 65,536/,
  );
});
