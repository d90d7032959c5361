'use strict';

/**
 * How long `start()` takes until questions are answered: `node bench/start.js [RUNS]`.
 * Each run is a process of its own with an empty store; the first one, which has to compile
 * the pipeline's modules, is reported apart.
 */
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { processesIn } = require('../test/bridging.js');
const { findPython, freePort } = require('../test/pipeline.js');

const TICK_MS = 10;

/**
 * Time that the processes of a folder have had of the processors, in milliseconds: unlike
 * that of a clock it hardly depends on what else the machine does.
 * @param {string} folder
 */
function processorTime(folder) {
  const ticks = processesIn(folder).map((pid) => {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')')).split(' ');
    return Number(fields[12]) + Number(fields[13]);
  });
  return ticks.reduce((sum, each) => sum + each, 0) * TICK_MS;
}

/** One start and stop, in milliseconds. */
async function measure() {
  const { LogSystemBridge } = require('../src/index.js');
  const cwd = fs.mkdtempSync(path.join(os.tmpdir(), 'start-'));
  const bridge = new LogSystemBridge({
    port: await freePort(),
    pythonPath: findPython(),
    cwd,
    ingest: { endpoint: `ipc://${cwd}/in` },
    publish: { endpoint: `ipc://${cwd}/out` },
    storage: { db_path: path.join(cwd, 'logs.db') },
    collector: { spool_dir: path.join(cwd, 'spool') },
    sender: { spoolDir: path.join(cwd, 'node-spool') },
  });
  const began = performance.now();
  await bridge.start();
  const ready = performance.now();
  const processor = processorTime(cwd);
  await bridge.query({ limit: 1 });
  const answered = performance.now();
  await bridge.stop();
  const stopped = performance.now();
  fs.rmSync(cwd, { recursive: true });
  return {
    start: ready - began,
    processor,
    question: answered - ready,
    stop: stopped - answered,
  };
}

/** @param {number[]} values */
const median = (values) =>
  [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];

function main() {
  const runs = Number(process.argv[2] ?? 15);
  const load = os.loadavg()[0];
  const results = Array.from({ length: runs + 1 }, () =>
    JSON.parse(
      execFileSync(process.execPath, [__filename, '--one'], {
        encoding: 'utf8',
      }),
    ),
  );
  const [first, ...rest] = results;
  const told = (/** @type {string} */ name) => {
    const values = rest.map((each) => each[name]);
    const [low, middle, high] = [
      Math.min(...values),
      median(values),
      Math.max(...values),
    ].map(Math.round);
    return `${name}: median ${middle} ms (${low} to ${high})`;
  };
  console.log(
    `${runs} runs; load ${load.toFixed(1)} before, ${os.cpus().length} processors`,
  );
  console.log(`first start: ${Math.round(first.start)} ms`);
  for (const name of ['start', 'processor', 'question', 'stop'])
    console.log(told(name));
}

if (process.argv[2] === '--one')
  measure().then((result) => console.log(JSON.stringify(result)));
else main();
