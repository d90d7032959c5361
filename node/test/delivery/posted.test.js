'use strict';

/** Entries that are posted: without a receipt, and made when they are sent. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { afterEach, beforeEach, test } = require('node:test');

const { Sender } = require('../../src/delivery/sender.js');
const { Spool } = require('../../src/delivery/spool/spool.js');
const { JSONRPCClient } = require('../../src/utils/json-rpc-client.js');

/** A server that takes all calls, and keeps them. */
let server;
/** @type {any[]} */
let calls;
/** @type {JSONRPCClient} */
let client;
/** @type {string} */
let folder;

beforeEach(async () => {
  calls = [];
  server = http.createServer(async (request, response) => {
    let text = '';
    for await (const piece of request) text += piece;
    const { id, params } = JSON.parse(text);
    calls.push(params);
    const result = { accepted: params.logs.length, rejected: [] };
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  client = new JSONRPCClient(`http://127.0.0.1:${server.address().port}`);
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'posted-'));
});

afterEach(() => {
  client.close();
  server.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

/** @param {number} number */
const line = (number) => ({
  level: 'INFO',
  fields: () => `"source":"s","message":"${number}"}`,
});

const messages = () =>
  calls.flatMap(({ logs }) => logs.map(({ message }) => Number(message)));

test('what is posted and logged is sent in the order of the calls', async () => {
  const sender = new Sender({ client, spoolDir: null });
  for (let number = 0; number < 600; number += 2) {
    sender.post(line(number));
    sender.log({ source: 's', message: String(number + 1) });
  }
  assert.equal(await sender.close(), true);
  assert.deepEqual(messages(), [...Array(600).keys()]);
  assert.equal(sender.counters.stored, 600);
});

test('ids are asked for only where somebody has a receipt', async () => {
  const sender = new Sender({ client, spoolDir: null });
  sender.post(line(0));
  await sender.flush();
  await sender.log({ source: 's', message: '1' });
  await sender.close();
  assert.deepEqual(
    calls.map(({ ids }) => ids),
    [false, true],
  );
});

test('one that no JSON can be made of is counted, and others are sent', async () => {
  const sender = new Sender({ client, spoolDir: null });
  sender.post({ level: 'INFO', fields: () => assert.fail('odd') });
  sender.post(line(1));
  await sender.close();
  assert.deepEqual(messages(), [1]);
  const { dropped, waiting } = sender.counters;
  assert.deepEqual(dropped, { 'entry: no JSON can be made of it': 1 });
  assert.equal(waiting, 0);
});

test('more than memory may hold is dropped and counted', async () => {
  const sender = new Sender({ client, spoolDir: null, memoryEntries: 50 });
  for (let number = 0; number < 1_000; number++) sender.post(line(number));
  await sender.close();
  const { logged, stored, dropped } = sender.counters;
  assert.equal(stored + dropped['the buffer is full'], logged);
  assert.ok(stored < 300 && messages().includes(999));
});

test('at the end of the host what was posted a moment ago is spooled', async () => {
  const sender = new Sender({ client, spoolDir: folder });
  for (let number = 0; number < 10; number++) sender.post(line(number));
  sender.spill();
  const { batches } = await new Spool(folder, sender.producer).load();
  assert.deepEqual(
    batches.map(({ count }) => count),
    [10],
  );
  await sender.close();
});
