'use strict';

/**
 * What the middleware costs an Express server: `node bench/express.js [rounds] [seconds]`.
 *
 * Servers that differ in nothing but the middleware are loaded alternately in one run,
 * each in a process of its own, over 32 connections that are kept alive and never idle.
 * The log system of those with it is a bridge; `sink` answers its gateway's calls and
 * does nothing else, so that the figures are of this process, and `pipeline` is a real
 * one on the same machine.
 */

const { fork, spawn } = require('node:child_process');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const { tmpdir } = require('node:os');
const path = require('node:path');

const CONNECTIONS = 32;
const REQUEST =
  'GET /orders/7?full=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n' +
  'User-Agent: bench/1.0 (express)\r\n\r\n';

/** A server in this process, told by the parent's messages. */
function serve(mode, gatewayPort) {
  const express = require('express');
  const app = express();
  let bridge;
  if (mode !== 'without') {
    const { LogSystemBridge } = require('../src/log-system-bridge.js');
    const { HTTPCollector } = require('../src/collectors/http-collector.js');
    bridge =
      mode === 'no log system'
        ? { log: () => {} }
        : new LogSystemBridge({
            host: '127.0.0.1',
            port: Number(gatewayPort),
            autoStart: false,
          });
    app.use(new HTTPCollector(bridge).start().middleware);
  }
  app.use(express.json());
  app.get('/orders/:id', (request, response) =>
    response.json({ id: request.params.id, items: [1, 2, 3], paid: true }),
  );
  const server = app.listen(0, '127.0.0.1', () =>
    process.send({ port: server.address().port }),
  );
  process.on('message', async (message) => {
    if (message === 'cpu') process.send({ cpu: process.cpuUsage() });
    if (message === 'flush') {
      await bridge?.sender?.flush(30_000);
      process.send({ counters: bridge?.sender?.counters ?? {} });
    }
  });
}

/** A gateway that takes everything. */
function sink() {
  const server = http.createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      const { id, params } = JSON.parse(Buffer.concat(parts));
      const ids = params?.logs?.map(() => 'x'.repeat(43)) ?? [];
      const result = { accepted: ids.length, rejected: [], ids };
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ jsonrpc: '2.0', result, id }));
    });
  });
  server.listen(0, '127.0.0.1', () =>
    process.send({ port: server.address().port }),
  );
}

/** Load a server for some seconds; requests that were answered. */
function load(port, seconds) {
  return new Promise((resolve, reject) => {
    let answered = 0;
    let open = 0;
    const end = performance.now() + seconds * 1000;
    for (let i = 0; i < CONNECTIONS; i += 1) {
      const socket = net.connect(port, '127.0.0.1');
      open += 1;
      socket.setNoDelay(true);
      socket.write(REQUEST);
      socket.on('data', (data) => {
        // a response is one piece: it is small, and there is one at a time
        if (data.indexOf('\r\n\r\n') < 0) return;
        answered += 1;
        if (performance.now() < end) socket.write(REQUEST);
        else socket.end();
      });
      socket.on('close', () => (open -= 1) === 0 && resolve(answered));
      socket.on('error', reject);
    }
  });
}

/** Starts this file in another role; its first message. */
async function start(...role) {
  const child = fork(__filename, role.map(String));
  const { port } = await answer(child);
  return { child, port };
}

/** What a child says next, when asked. */
function answer(child, question) {
  return new Promise((resolve) => {
    child.once('message', resolve);
    if (question) child.send(question);
  });
}

/** One round of one server: requests per second, and CPU time per request. */
async function round({ child, port }, seconds) {
  const before = (await answer(child, 'cpu')).cpu;
  const begun = performance.now();
  const answered = await load(port, seconds);
  const elapsed = (performance.now() - begun) / 1000;
  await answer(child, 'flush');
  const { cpu } = await answer(child, 'cpu');
  const used = cpu.user + cpu.system - before.user - before.system;
  return { rate: answered / elapsed, cost: used / answered };
}

/** A pipeline of its own, in a folder that goes with it. */
async function pipeline() {
  const folder = mkdtempSync(path.join(tmpdir(), 'bench-express-'));
  const port = await freePort();
  const ports = [await freePort(), await freePort()];
  const config = path.join(folder, 'config.yaml');
  writeFileSync(
    config,
    `server: {host: "127.0.0.1", port: ${port}}\n` +
      `ingest: {endpoint: "tcp://127.0.0.1:${ports[0]}"}\n` +
      `publish: {endpoint: "tcp://127.0.0.1:${ports[1]}"}\n` +
      `storage: {db_path: "${folder}/logs.db"}\n`,
  );
  const root = path.join(__dirname, '..', '..');
  const child = spawn(
    path.join(root, '.venv/bin/pipeline'),
    ['up', '--config', config],
    { cwd: folder, stdio: 'ignore' },
  );
  const ready = `http://127.0.0.1:${port}/health/ready`;
  for (let tries = 0; tries < 300; tries += 1) {
    const reply = await fetch(ready).catch(() => undefined);
    if (reply?.ok) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const stop = async () => {
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('exit', resolve));
    rmSync(folder, { recursive: true, force: true });
  };
  return { port, stop };
}

function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2
    ? sorted[middle]
    : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Load the servers in turn, in the other order every second time. */
async function compare(servers, rounds, seconds) {
  const names = Object.keys(servers);
  const results = Object.fromEntries(names.map((name) => [name, []]));
  for (const name of names) await round(servers[name], 2); // compiled and warm
  for (let i = 0; i < rounds; i += 1) {
    for (const name of i % 2 ? [...names].reverse() : names) {
      results[name].push(await round(servers[name], seconds));
    }
  }
  return results;
}

function report(results) {
  const base = results.without;
  const rows = Object.entries(results).map(([server, rounds]) => {
    const pairs = rounds.map((one, i) => [
      one.rate / base[i].rate,
      one.cost / base[i].cost,
    ]);
    return {
      server,
      'requests/s': Math.round(median(rounds.map(({ rate }) => rate))),
      'CPU us/request':
        Math.round(median(rounds.map(({ cost }) => cost)) * 10) / 10,
      'requests/s, of without': percent(median(pairs.map(([rate]) => rate))),
      'CPU, of without': percent(median(pairs.map(([, cost]) => cost))),
    };
  });
  console.table(rows);
}

/** @param {number} ratio */
const percent = (ratio) => `${(ratio * 100).toFixed(1)} %`;

async function main(rounds = 10, seconds = 2) {
  const gateway = await start('sink');
  const real = await pipeline();
  const servers = {
    without: await start('serve', 'without', 0),
    'no log system': await start('serve', 'no log system', 0),
    sink: await start('serve', 'sink', gateway.port),
    pipeline: await start('serve', 'pipeline', real.port),
  };
  try {
    report(await compare(servers, Number(rounds), Number(seconds)));
  } finally {
    for (const { child } of [...Object.values(servers), gateway]) child.kill();
    await real.stop();
  }
}

const [role, ...rest] = process.argv.slice(2);
if (role === 'serve') serve(...rest);
else if (role === 'sink') sink();
else main(role, ...rest);
