'use strict';

/**
 * What log() costs its host: calls a second in one tick, memory, and entries stored a second.
 *
 * node bench/delivery.js [--entries 50000] [--rounds 5]
 */

const { parseArgs } = require('node:util');

const { receive } = require('../src/delivery/receive.js');
const { Sender } = require('../src/delivery/sender.js');
const { JSONRPCClient } = require('../src/utils/json-rpc-client.js');
const { startPipeline } = require('../test/pipeline.js');

const { values } = parseArgs({
  options: {
    entries: { type: 'string', default: '50000' },
    rounds: { type: 'string', default: '5' },
  },
});
const entries = Number(values.entries);

/** @param {number} number */
const entryOf = (number) => ({
  source: 'bench',
  level: 'INFO',
  message: `GET /api/items/${number} - 200`,
  metadata: { method: 'GET', path: '/api/items', status: 200, number },
  tags: ['api', 'http'],
  trace_id: '0af7651916cd43dd8448eb211c80319c',
});

const MiB = (bytes) => (bytes / 2 ** 20).toFixed(1);

/** Milliseconds of processor time that work takes. */
function cpu(work) {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

/** The share of conversion and JSON, against JSON.stringify alone. */
function compareWithJSON() {
  const given = Array.from({ length: entries }, (_, index) => entryOf(index));
  for (const entry of given.slice(0, 5000)) receive(entry, '1');
  const json = cpu(() => given.forEach((entry) => JSON.stringify(entry)));
  const made = cpu(() => given.forEach((entry) => receive(entry, '1')));
  const perEntry = (ms) => ((ms * 1000) / entries).toFixed(2);
  console.log(`JSON.stringify alone: ${perEntry(json)} us an entry`);
  console.log(`checked and taken: ${perEntry(made)} us an entry`);
}

async function main() {
  compareWithJSON();
  const pipeline = await startPipeline();
  try {
    const client = new JSONRPCClient(pipeline.url);
    const sender = new Sender({ client, spoolDir: pipeline.spoolDir });
    for (let round = 1; round <= Number(values.rounds); round++) {
      globalThis.gc?.();
      const earlier = process.memoryUsage().rss;
      let most = 0;
      const look = () => {
        most = Math.max(most, process.memoryUsage().rss - earlier);
      };
      const timer = setInterval(look, 2);
      const start = performance.now();
      const spent = cpu(() => {
        for (let n = 0; n < entries; n++) sender.log(entryOf(n));
      });
      const called = performance.now() - start;
      look();
      await sender.flush(120_000);
      const stored = performance.now() - start;
      clearInterval(timer);
      console.log(
        `round ${round}: ${entries} calls in ${called.toFixed(0)} ms ` +
          `(${((spent * 1000) / entries).toFixed(2)} us of CPU each), ` +
          `all stored after ${stored.toFixed(0)} ms ` +
          `(${((entries / stored) * 1000).toFixed(0)}/s), ` +
          `RSS + ${MiB(most)} MiB at most`,
      );
    }
    console.log(sender.counters);
    await sender.close();
  } finally {
    await pipeline.close();
  }
}

void main();
