'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const readline = require('node:readline');
const { after, test } = require('node:test');

const { LogSystemBridge, NotReadyError } = require('../src/index.js');
const { ownConfig, processesIn } = require('./bridging.js');
const { until } = require('./pipeline.js');

const HOST = path.join(__dirname, 'programs', 'host.js');

// a bridge that waits for its pipeline keeps no process
const keep = setInterval(() => {}, 1000);
after(() => clearInterval(keep));

/** Start a host; `started` gives what it says once its log system is ready. */
function startHost(config, then) {
  const child = spawn(process.execPath, [HOST, JSON.stringify(config), then], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const lines = readline.createInterface({ input: child.stdout });
  const started = once(lines, 'line').then(([line]) => JSON.parse(line));
  const ended = once(child, 'exit').then(([code, signal]) => signal ?? code);
  return { child, started, ended };
}

/** The messages of a source that are stored, newest first. */
async function stored(bridge, source, q = '') {
  const reply = await bridge.query({ sources: [source], q });
  return reply.logs.map((entry) => entry.message);
}

const nothingRuns = (cwd) =>
  until(() => processesIn(cwd).length === 0, `nothing in ${cwd}`);

test('a bridge starts, takes and answers, and stops with nothing left running', async (t) => {
  const config = await ownConfig(t);
  const bridge = new LogSystemBridge(config);
  t.after(() => bridge.stop());
  const early = bridge.log({ source: 'shop', message: 'before the start' });

  await assert.rejects(bridge.query(), NotReadyError);
  await assert.rejects(bridge.search('x'), { message: 'Log system not ready' });
  await Promise.all([bridge.start(), bridge.start()]);
  const { pid } = bridge;
  await bridge.start();

  assert.equal(bridge.isReady, true);
  assert.equal(bridge.pid, pid);
  const receipt = await early;
  assert.equal(receipt.status, 'received');
  const batch = await bridge.logBatch(
    [{ source: 'shop', message: 'one' }, { source: 'shop' }],
    true,
  );
  assert.equal(batch.accepted, 1);
  const { logs } = await bridge.query({ sources: ['shop'], order: 'asc' });
  assert.equal(logs[0].id, receipt.id);
  assert.equal((await bridge.search('before')).count, 1);
  assert.equal((await bridge.getStats()).total_logs, 2);
  await assert.rejects(bridge.query({ limit: -1 }), /^RPCError: RPC Error: /);

  await bridge.stop();
  assert.equal(bridge.isReady, false);
  assert.deepEqual(processesIn(config.cwd), []);
  await assert.rejects(bridge.getStats(), NotReadyError);
});

test('a killed pipeline is started again, and nothing is lost or doubled', async (t) => {
  const bridge = new LogSystemBridge(await ownConfig(t));
  t.after(() => bridge.stop());
  await bridge.start();
  const before = bridge.log({ source: 'shop', message: 'before' });
  const down = once(bridge, 'down');
  const restarted = once(bridge, 'restart');
  process.kill(bridge.pid, 'SIGKILL');
  const [why] = await down;
  const during = bridge.log({ source: 'shop', message: 'during' });
  await assert.rejects(bridge.query(), NotReadyError);
  await restarted;
  await once(bridge, 'ready');

  assert.match(why, /^the pipeline ended by SIGKILL/);
  assert.equal((await before).status, 'received');
  assert.equal((await during).status, 'received');
  assert.deepEqual(await stored(bridge, 'shop'), ['during', 'before']);
});

test('of processes that start in the same instant one starts the pipeline; another takes over', async (t) => {
  const config = await ownConfig(t);
  const hosts = [1, 2, 3].map(() => startHost(config, 'stay'));
  t.after(() => hosts.forEach(({ child }) => child.kill('SIGKILL')));
  const pids = await Promise.all(hosts.map(({ started }) => started));
  const owner = pids.findIndex(({ pid }) => pid !== null);

  assert.equal(pids.filter(({ pid }) => pid !== null).length, 1);
  hosts[owner].child.kill('SIGKILL');
  const { pid } = pids[owner];
  const old = () => processesIn(config.cwd).includes(String(pid));
  await until(() => !old(), 'the end of its pipeline');
  const bridge = new LogSystemBridge({ ...config, autoStart: false });
  t.after(() => bridge.stop());
  await bridge.start();
  assert.equal((await stored(bridge, 'host', 'hello')).length, 3);

  for (const { child } of hosts) child.kill('SIGKILL');
  await nothingRuns(config.cwd);
});

test('a host that ends, however, sends its last entry and leaves nothing running', async (t) => {
  const config = await ownConfig(t);
  for (const [then, signal, expected] of [
    ['end', null, 0],
    ['stay', 'SIGTERM', 'SIGTERM'],
    ['own-handler', 'SIGTERM', 7],
    ['throw', null, 1],
  ]) {
    const { child, started, ended } = startHost(config, then);
    await started;
    if (signal) child.kill(signal);

    assert.equal(await ended, expected, `${then} ${signal}`);
    await nothingRuns(config.cwd);
  }
  const bridge = new LogSystemBridge(config);
  await bridge.start();
  // what was spooled by the last ones is sent by this
  const all = async () => (await stored(bridge, 'host', 'bye')).length === 4;
  await until(all, 'the last entry of each host');
  await bridge.stop();
});
