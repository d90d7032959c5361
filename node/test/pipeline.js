'use strict';

/** A pipeline of its own for tests and benches: real processes over a folder that goes with it. */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');

const ROOT = path.join(__dirname, '..', '..');
const START_MS = 60_000;
const STOP_MS = 20_000;

/** The interpreter that has the pipeline installed. */
function findPython() {
  const own = path.join(ROOT, '.venv', 'bin', 'python');
  return process.env.PIPELINE_PYTHON ?? (fs.existsSync(own) ? own : 'python3');
}

/** Below those that Linux gives to outgoing connections, and to who asks for any. */
const PORTS = { first: 20_000, count: 12_000, ofProcess: 32 };
let handedOut = 0;

/**
 * A port of this machine that nobody listens on, and that nobody is given by chance
 * between now and when a program has started that is told it.
 * @returns {Promise<number>}
 */
async function freePort() {
  for (;;) {
    const number = process.pid * PORTS.ofProcess + handedOut;
    const port = PORTS.first + (number % PORTS.count);
    handedOut += 1;
    const server = net.createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EADDRINUSE')
        throw error;
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Waits until a condition holds.
 * @template T
 * @param {() => T | Promise<T>} condition
 * @param {string} what for the error when it never does
 * @param {number} [ms]
 * @returns {Promise<T>} what the condition gave
 */
async function until(condition, what, ms = 30_000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await sleep(20);
  }
}

/** Ingester and gateway on ports and a database of their own, started and killed one by one. */
class Pipeline {
  /**
   * @param {number} port of the gateway; it keeps it through restarts
   * @param {Record<string, string | number>} settings such as `gateway__durable_timeout_seconds`
   */
  constructor(port, settings = {}) {
    // short, because the path of a unix socket is
    this.path = fs.mkdtempSync(path.join(os.tmpdir(), 'node-pipeline-'));
    this.port = port;
    this.host = '127.0.0.1';
    this.url = `http://${this.host}:${port}`;
    this.python = findPython();
    const named = Object.entries(settings).map(([name, value]) => [
      `PIPELINE_${name.toUpperCase()}`,
      String(value),
    ]);
    /** @type {NodeJS.ProcessEnv} */
    this.environ = {
      ...process.env,
      PYTHONPATH: ROOT,
      PIPELINE_INGEST__ENDPOINT: `ipc://${this.path}/in`,
      PIPELINE_PUBLISH__ENDPOINT: `ipc://${this.path}/out`,
      PIPELINE_STORAGE__DB_PATH: path.join(this.path, 'logs.db'),
      PIPELINE_COLLECTOR__SPOOL_DIR: path.join(this.path, 'gateway-spool'),
      PIPELINE_SERVER__PORT: String(port),
      ...Object.fromEntries(named),
    };
    /** A folder for the spools of Node programs. */
    this.spoolDir = path.join(this.path, 'spool');
    /** @type {Map<string, import('node:child_process').ChildProcess>} */
    this.processes = new Map();
  }

  /**
   * Starts processes of the pipeline and waits until each is ready.
   * @param {...string} names `ingester`, `gateway`, or `up` for all of them under a supervisor
   */
  async start(...names) {
    await Promise.all(names.map((name) => this._start(name)));
    return this;
  }

  /** @param {string} name */
  async _start(name) {
    const child = spawn(this.python, ['-m', 'pipeline', name], {
      cwd: this.path,
      env: this.environ,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.processes.set(name, child);
    /** @type {string[]} */
    const said = [];
    const lines = readline.createInterface({
      input: /** @type {import('node:stream').Readable} */ (child.stderr),
    });
    const ready = name === 'up' ? 'gateway ready' : `${name} ready`;
    await new Promise((resolve, reject) => {
      const timer = setTimeout(reject, START_MS, new Error(`${name}: late`));
      lines.on('line', (line) => {
        said.push(line);
        if (!line.includes(ready)) return;
        clearTimeout(timer);
        resolve(undefined);
      });
      child.on('exit', (code) => {
        clearTimeout(timer);
        reject(new Error(`${name} ended with ${code}: ${said.join('\n')}`));
      });
    });
  }

  /** Waits until entries are stored and questions answered. */
  async ready() {
    await until(async () => {
      const reply = await fetch(`${this.url}/health/ready`).catch(() => null);
      await reply?.arrayBuffer();
      return reply?.ok;
    }, `${this.url} ready`);
    return this;
  }

  /**
   * Ends one process.
   * @param {string} name
   * @param {NodeJS.Signals} [signal]
   */
  async kill(name, signal = 'SIGKILL') {
    const child = this.processes.get(name);
    this.processes.delete(name);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(timer);
  }

  /** Ends all of it and removes its folder. */
  async close() {
    for (const name of [...this.processes.keys()].reverse()) {
      await this.kill(name, 'SIGTERM');
    }
    fs.rmSync(this.path, { recursive: true, force: true });
  }

  /**
   * The result of one call; an error of the gateway is thrown.
   * @param {string} method
   * @param {object} [params]
   * @returns {Promise<any>}
   */
  async call(method, params = {}) {
    const response = await fetch(`${this.url}/rpc`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', method, params, id: 1 }),
    });
    const reply = await response.json();
    if (reply.error) throw new Error(JSON.stringify(reply.error));
    return reply.result;
  }

  /**
   * All entries of a source, oldest first, in as many pages as it takes.
   * @param {string} source
   * @returns {Promise<any[]>}
   */
  async logs(source) {
    const found = [];
    let cursor = null;
    do {
      const page = await this.call('query', {
        sources: [source],
        order: 'asc',
        limit: 10_000,
        count: 'none',
        ...(cursor && { cursor }),
      });
      found.push(...page.logs);
      cursor = page.next_cursor;
    } while (cursor);
    return found;
  }
}

/**
 * A running pipeline.
 * @param {Record<string, string | number>} [settings]
 */
async function startPipeline(settings = {}) {
  const pipeline = new Pipeline(await freePort(), settings);
  try {
    await pipeline.start('ingester', 'gateway');
    return await pipeline.ready();
  } catch (error) {
    await pipeline.close();
    throw error;
  }
}

module.exports = {
  Pipeline,
  findPython,
  freePort,
  sleep,
  startPipeline,
  until,
};
