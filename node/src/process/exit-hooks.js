'use strict';

/**
 * What has to happen when the host ends, once per process however many log systems it has.
 *
 * `beforeExit` (nothing left to do): all are stopped, which sends what waits.
 * SIGTERM, SIGINT, SIGHUP: all are stopped and the signal then does what it would have done;
 * if the host has a handler of its own, that one decides, and what waits is spooled.
 * Uncaught exceptions: what waits is written to the spool, at once. `exit`: also, and it is
 * sent from there while this thread stands still.
 * @typedef {{stop: () => Promise<void>, spill: (isEnd?: boolean) => void}} Stoppable
 */

/** @type {import('node:events').EventEmitter} */
const host = process;

/** @type {Set<Stoppable>} */
const live = new Set();

const SIGNALS = /** @type {const} */ (['SIGTERM', 'SIGINT', 'SIGHUP']);

/** @type {Map<string, (...args: any[]) => void>} */
const handlers = new Map([
  ['beforeExit', () => void stopAll()],
  ['exit', () => spillAll(true)],
  ['uncaughtExceptionMonitor', () => spillAll()],
  ...SIGNALS.map((signal) => /** @type {const} */ ([signal, onSignal])),
]);

function stopAll() {
  return Promise.allSettled([...live].map((each) => each.stop()));
}

/** @param {boolean} [isEnd] */
function spillAll(isEnd) {
  for (const each of live) each.spill(isEnd);
}

let isEnding = false;

/** @param {NodeJS.Signals} signal */
function onSignal(signal) {
  if (process.listenerCount(signal) > 1) {
    spillAll();
    // some count the listeners (signal-exit) and kill the process if all are theirs
    process.off(signal, onSignal);
    setImmediate(() => {
      if (live.size > 0) process.prependListener(signal, onSignal);
    }).unref();
    return;
  }
  const raise = () => {
    uninstall();
    process.kill(process.pid, signal);
  };
  if (isEnding) return raise(); // asked twice: at once
  isEnding = true;
  void stopAll().then(raise);
}

function uninstall() {
  for (const [event, handler] of handlers) host.off(event, handler);
}

/** @param {Stoppable} each */
function addExitHooks(each) {
  if (live.size === 0)
    for (const [event, handler] of handlers)
      host.prependListener(event, handler);
  live.add(each);
}

/** @param {Stoppable} each */
function removeExitHooks(each) {
  live.delete(each);
  if (live.size === 0) uninstall();
}

module.exports = { addExitHooks, removeExitHooks };
