'use strict';

/**
 * Kills the gateway, the ingester, both, and the program that logs, under load, and counts:
 * entries that log() said are received have to be stored, and none may be there twice.
 *
 * node bench/kills.js [--kills 30] [--rate 5000] [--targets gateway,ingester,pipeline,host]
 */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const readline = require('node:readline');
const { parseArgs } = require('node:util');

const { Sender } = require('../src/delivery/sender.js');
const { JSONRPCClient } = require('../src/utils/json-rpc-client.js');
const { sleep, startPipeline, until } = require('../test/pipeline.js');

const TICK_MS = 10;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kills: { type: 'string', default: '30' },
    rate: { type: 'string', default: '5000' },
    targets: { type: 'string', default: 'gateway,ingester,pipeline,host' },
  },
});
const kills = Number(values.kills);
const rate = Number(values.rate);

/**
 * The program that logs until its standard input ends; says `+` for each entry that it
 * logs and its number once it is received.
 * @param {string[]} arguments_
 */
async function host([url, spoolDir, source, prefix]) {
  const sender = new Sender({ client: new JSONRPCClient(url), spoolDir });
  let number = 0;
  let said = '';
  const say = (text) => {
    said += text;
  };
  const timer = setInterval(() => {
    const count = (rate * TICK_MS) / 1000;
    for (let index = 0; index < count; index++) {
      const message = `${prefix}-${++number}`;
      sender
        .log({ source, message, metadata: { number, text: 'x'.repeat(100) } })
        .then(({ status }) => {
          if (status === 'received') say(`${message}\n`);
        });
    }
    say(`+${count}\n`);
    fs.writeSync(1, said);
    said = '';
  }, TICK_MS);
  process.stdin.resume();
  await once(process.stdin, 'end');
  clearInterval(timer);
  await sender.flush(60_000);
  await sleep(1);
  fs.writeSync(1, said);
  await sender.close();
  process.exit(0);
}

/** One program that logs, and what it has said. */
class Host {
  constructor(pipeline, source, prefix, counts) {
    const role = ['host', pipeline.url, pipeline.spoolDir, source, prefix];
    const args = [__filename, ...role, '--rate', String(rate)];
    this.child = spawn(process.execPath, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.ended = once(this.child, 'close');
    this.received = 0;
    const lines = readline.createInterface({ input: this.child.stdout });
    lines.on('line', (line) => {
      if (line.startsWith('+')) counts.produced += Number(line);
      else {
        this.received++;
        counts.acknowledged.add(line);
      }
    });
  }

  async stop() {
    this.child.stdin.end();
    await this.ended;
  }

  async kill() {
    this.child.kill('SIGKILL');
    await this.ended;
  }
}

/** Kills parts of the pipeline while one program logs. */
async function killPipeline(pipeline, source, names, counts) {
  const running = new Host(pipeline, source, 'a', counts);
  for (let kill = 0; kill < kills; kill++) {
    const { received } = running;
    await until(() => running.received > received + 50, 'entries', 60_000);
    await sleep(Math.random() * 200);
    await Promise.all(names.map((name) => pipeline.kill(name)));
    await sleep(Math.random() * 200);
    await pipeline.start(...names);
  }
  await running.stop();
}

/** Kills programs that log, every other one while the gateway is away. */
async function killHosts(pipeline, source, counts) {
  for (let kill = 0; kill < kills; kill++) {
    const running = new Host(pipeline, source, String(kill), counts);
    await until(() => running.received > 50, 'entries', 60_000);
    await sleep(Math.random() * 300);
    if (kill % 2) {
      await pipeline.kill('gateway');
      await sleep(Math.random() * 500);
    }
    await running.kill();
    if (kill % 2) await pipeline.start('gateway');
  }
  const client = new JSONRPCClient(pipeline.url);
  const heir = new Sender({ client, spoolDir: pipeline.spoolDir });
  await until(
    () => !fs.readdirSync(pipeline.spoolDir).length,
    'empty spools',
    60_000,
  );
  await heir.close();
}

/** @param {string} target */
async function run(target) {
  const pipeline = await startPipeline();
  try {
    fs.mkdirSync(pipeline.spoolDir, { recursive: true });
    const counts = { produced: 0, acknowledged: new Set() };
    const start = Date.now();
    if (target === 'host') await killHosts(pipeline, target, counts);
    else {
      const both = ['gateway', 'ingester'];
      const names = target === 'pipeline' ? both : [target];
      await killPipeline(pipeline, target, names, counts);
    }
    await pipeline.ready();
    const logs = await pipeline.logs(target);
    const stored = new Set(logs.map(({ message }) => message));
    const missing = [...counts.acknowledged].filter((one) => !stored.has(one));
    const ledger = await pipeline.call('get_ledger');
    const figures = [
      ...[target, kills, ((Date.now() - start) / 1000).toFixed(0)],
      ...[counts.produced, counts.acknowledged.size, logs.length],
      ...[logs.length - stored.size, missing.length, ledger.balanced],
    ];
    console.log(figures.map((figure) => String(figure).padStart(13)).join(''));
    return missing.length === 0 && logs.length === stored.size;
  } finally {
    await pipeline.close();
  }
}

async function main() {
  const names =
    'target kills seconds produced acknowledged stored twice missing balanced';
  console.log(names.replace(/\S+ ?/g, (name) => name.trim().padStart(13)));
  let isRight = true;
  for (const target of values.targets.split(',')) {
    isRight = (await run(target)) && isRight;
  }
  process.exitCode = isRight ? 0 : 1;
}

if (positionals[0] === 'host') void host(positionals.slice(1));
else void main();
