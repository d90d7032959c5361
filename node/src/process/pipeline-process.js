'use strict';

const { spawn } = require('node:child_process');
const { EventEmitter } = require('node:events');
const readline = require('node:readline');

const { environmentOf } = require('./python.js');

const LAST_WORDS = 12;

/**
 * How a child ended; `code` is null for a signal, or when it could not be started (`error`).
 * @typedef {{code: number | null, signal: string | null, error?: Error}} Ending
 */

/**
 * `pipeline up` as a child. It stops when its standard input ends, so however this process
 * ends, and in an order that loses nothing.
 * Emits `line` for each line that it prints, and `end` once with its Ending.
 */
class PipelineProcess extends EventEmitter {
  /**
   * @param {string} python
   * @param {readonly string[]} options of `pipeline up`
   * @param {{cwd: string, env: NodeJS.ProcessEnv}} surroundings
   */
  constructor(python, options, { cwd, env }) {
    super();
    this.python = python;
    /** @type {string[]} */
    this.lastWords = [];
    /** @type {Ending | null} */
    this.ending = null;
    /** @type {Promise<Ending>} */
    this.ended = new Promise((resolve) => this.once('end', resolve));
    // a session of its own: Ctrl-C in a terminal is for the host, which then stops it
    this.child = spawn(
      python,
      ['-m', 'pipeline', 'up', '--stop-at-eof', ...options],
      { cwd, env: environmentOf(env), detached: true, stdio: 'pipe' },
    );
    this.child.on('error', (error) => this.#end(null, null, error));
    // 'close' comes after its last words, 'exit' may come before them
    this.child.on('close', (code, signal) => this.#end(code, signal));
    this.child.stdin.on('error', () => {}); // it is gone; 'close' tells
    for (const stream of [this.child.stdout, this.child.stderr]) {
      readline.createInterface({ input: stream }).on('line', (line) => {
        this.#hear(line);
      });
    }
  }

  get pid() {
    return this.child.pid;
  }

  /** Let this process end while the child runs; its own end is then the child's too. */
  unref() {
    this.child.unref();
    for (const stream of this.child.stdio) {
      /** @type {import('node:net').Socket | null} */ (stream)?.unref();
    }
  }

  /** Wait for it again. */
  ref() {
    this.child.ref();
    for (const stream of this.child.stdio) {
      /** @type {import('node:net').Socket | null} */ (stream)?.ref();
    }
  }

  /**
   * Ask it to stop, wait, and kill it after `graceMs`: its processes then stop by themselves.
   * @param {number} graceMs
   * @returns {Promise<Ending>}
   */
  async stop(graceMs) {
    this.ref();
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), graceMs);
    const ending = await this.ended;
    clearTimeout(timer);
    return ending;
  }

  /** @param {string} line */
  #hear(line) {
    if (line.trim() === '') return;
    this.lastWords.push(line);
    if (this.lastWords.length > LAST_WORDS) this.lastWords.shift();
    this.emit('line', line);
  }

  /**
   * @param {number | null} code
   * @param {string | null} signal
   * @param {Error} [error]
   */
  #end(code, signal, error) {
    if (this.ending !== null) return;
    this.ending = error ? { code, signal, error } : { code, signal };
    this.emit('end', this.ending);
  }
}

module.exports = { PipelineProcess };
