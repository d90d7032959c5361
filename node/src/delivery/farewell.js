'use strict';

/**
 * Sends a spool while the host's thread stands still, for a host that is about to end.
 *
 * Nothing asynchronous runs in a handler of `exit`: a thread of its own does it, and the
 * host's waits for it, but never longer than it was told.
 *
 * @module
 */

const path = require('node:path');
const { Worker } = require('node:worker_threads');

/**
 * @typedef {object} Farewell
 * @property {string} endpoint
 * @property {Record<string, string>} headers
 * @property {string} folder
 * @property {string} producer
 * @property {number} timeoutMs
 */

/**
 * Whether all of it is stored, and its segments are deleted.
 * @param {Farewell} farewell
 */
function deliverSync(farewell) {
  const state = new Int32Array(new SharedArrayBuffer(4));
  let worker;
  try {
    worker = new Worker(path.join(__dirname, 'farewell-worker.js'), {
      workerData: { ...farewell, state },
      // its output would wait for this thread; its flags are not those of the host
      stdout: true,
      stderr: true,
      execArgv: [],
      env: {},
    });
  } catch (error) {
    return false;
  }
  // without a listener an error of the worker is one of the host
  worker.on('error', () => {});
  Atomics.wait(state, 0, 0, farewell.timeoutMs);
  return Atomics.load(state, 0) === 1;
}

module.exports = { deliverSync };
