'use strict';

const { setTimeout: sleep } = require('node:timers/promises');

const {
  AddressTakenError,
  PythonMissingError,
  StartError,
  StoppedError,
} = require('../errors.js');
const { PipelineProcess } = require('./pipeline-process.js');
const { probe } = require('./probe.js');
const { installLine, interpreters } = require('./python.js');
const { tryStartLock } = require('./start-lock.js');

const POLL_MS = 20;
/** What accepts and never answers is given up after this. */
const SILENT_MS = 3000;

const NO_MODULE = /No module named|ModuleNotFoundError/;

/**
 * @typedef {{
 *   url: string, host: string, port: number, autoStart: boolean,
 *   pythonPath?: string, configPath?: string, cwd: string, env: NodeJS.ProcessEnv,
 *   startTimeoutMs: number, stopTimeoutMs: number, onLine: (line: string) => void,
 * }} LaunchOptions
 */

/**
 * See to it that a pipeline answers at the address, by starting one only if none does.
 * Gives the process if it is ours, else null. Rejects with what to do about it.
 * @param {LaunchOptions} options
 * @param {AbortSignal} signal
 * @returns {Promise<PipelineProcess | null>}
 */
async function launch(options, signal) {
  const deadline = Date.now() + options.startTimeoutMs;
  /** @type {import('./start-lock.js').StartLock | null} */
  let lock = null;
  try {
    const watch = new Watch(options.url);
    for (;;) {
      const found = await watch.look();
      if (signal.aborted) throw new StoppedError();
      if (found.state === 'ready') return null;
      if (found.state === 'absent' && options.autoStart) {
        // looked at once more with the lock: whoever had it may have started one
        if (lock !== null)
          return await startPipeline(options, signal, deadline);
        lock = await tryStartLock(options.port);
        if (lock !== null) continue;
      }
      if (Date.now() > deadline) throw late(options, found);
      await sleep(POLL_MS);
    }
  } finally {
    await lock?.release();
  }
}

/** Looks at the address again and again; throws when waiting won't help. */
class Watch {
  /** @param {string} url */
  constructor(url) {
    this.url = url;
    /** @type {number | null} */
    this.silentSince = null;
  }

  async look() {
    const found = await probe(this.url);
    if (found.state === 'foreign')
      throw new AddressTakenError(this.url, found.detail);
    if (found.state === 'unreachable')
      throw new StartError(`${this.url} can't be reached (${found.detail})`);
    if (found.state !== 'silent') this.silentSince = null;
    else if (Date.now() - (this.silentSince ??= Date.now()) >= SILENT_MS)
      throw new AddressTakenError(this.url, `silent: ${found.detail}`);
    return found;
  }
}

/**
 * @param {LaunchOptions} options
 * @param {import('./probe.js').Found} found
 */
function late({ url, autoStart, startTimeoutMs }, found) {
  const waited = `after ${startTimeoutMs} ms`;
  if (found.state === 'starting')
    return new StartError(`${url} is not ready ${waited}: ${found.detail}`);
  const remedy = autoStart
    ? 'another process has been starting it all that time'
    : 'start it (pipeline up), or set autoStart';
  return new StartError(`nothing answers at ${url} ${waited}: ${remedy}`);
}

/**
 * Start it with the first interpreter that has it.
 * @param {LaunchOptions} options
 * @param {AbortSignal} signal
 * @param {number} deadline
 */
async function startPipeline(options, signal, deadline) {
  /** @type {string[]} */
  const tried = [];
  for (const python of interpreters(options)) {
    const child = new PipelineProcess(python, flagsOf(options), options);
    child.on('line', options.onLine);
    const problem = await untilReady(child, options, signal, deadline);
    if (problem === null) return child;
    tried.push(`${python} (${problem})`);
  }
  throw new PythonMissingError(tried, installLine());
}

/** @param {LaunchOptions} options */
function flagsOf({ host, port, configPath }) {
  const flags = [`--host=${host}`, `--port=${port}`];
  if (configPath !== undefined) flags.push(`--config=${configPath}`);
  return flags;
}

/**
 * Wait until the child serves. Gives null, or why another interpreter should be tried;
 * rejects when the child ended for any other reason.
 * @param {PipelineProcess} child
 * @param {LaunchOptions} options
 * @param {AbortSignal} signal
 * @param {number} deadline
 * @returns {Promise<string | null>}
 */
async function untilReady(child, options, signal, deadline) {
  while (child.ending === null) {
    const found = await probe(options.url);
    if (found.state === 'ready') return null;
    if (signal.aborted || Date.now() > deadline) {
      await child.stop(options.stopTimeoutMs);
      throw signal.aborted
        ? new StoppedError()
        : tooSlow(child, options, found);
    }
    await Promise.race([sleep(POLL_MS), child.ended]);
  }
  const { error } = child.ending;
  if (error !== undefined) return 'it is not there';
  if (child.lastWords.some((line) => NO_MODULE.test(line)))
    return /** @type {string} */ (child.lastWords.at(-1));
  throw ended(child);
}

/** @param {PipelineProcess} child */
function ended(child) {
  const { code, signal } = child.ending ?? {};
  const how = signal ? `by ${signal}` : `with exit code ${code}`;
  const words = child.lastWords.join('\n');
  return new StartError(`the pipeline ended ${how}: ${words}`, {
    lastWords: child.lastWords,
  });
}

/**
 * @param {PipelineProcess} child
 * @param {LaunchOptions} options
 * @param {import('./probe.js').Found} found
 */
function tooSlow(child, { url, startTimeoutMs }, found) {
  const why = found.detail || found.state;
  return new StartError(
    `the pipeline is not ready at ${url} after ${startTimeoutMs} ms (${why})`,
    { lastWords: child.lastWords },
  );
}

module.exports = { ended, launch };
