'use strict';

/**
 * A program that logs and ends in the way that its arguments say: url, folder, source, how,
 * and how many milliseconds its end may be held up.
 * Each entry that was stored is told on standard output by its message.
 */

const fs = require('node:fs');

const { Sender } = require('../../src/delivery/sender.js');
const { addExitHooks } = require('../../src/process/exit-hooks.js');
const { JSONRPCClient } = require('../../src/utils/json-rpc-client.js');

const [url, spoolDir, source, how, farewell] = process.argv.slice(2);
const sender = new Sender({
  client: new JSONRPCClient(url),
  spoolDir,
  farewellMs: Number(farewell),
});
addExitHooks({
  stop: async () => {
    await sender.close();
  },
  spill: (isEnd) => sender.spill(isEnd),
});

let number = 0;

function log(count) {
  for (let index = 0; index < count; index++) {
    const message = String(++number);
    sender.log({ source, message }).then(({ status }) => {
      if (status === 'received') fs.writeSync(1, `${message}\n`);
    });
  }
}

/** @type {Record<string, () => void>} */
const ENDS = {
  naturally: () => log(500),
  exit: () => {
    log(500);
    process.exit(3);
  },
  throw: () => {
    log(500);
    throw new Error('the host has failed');
  },
  reject: () => {
    log(500);
    void Promise.reject(new Error('the host has failed'));
  },
  handled: () => {
    process.on('uncaughtException', () => log(1));
    log(499);
    throw new Error('the host lives on');
  },
  term: () => {
    log(500);
    setInterval(() => {}, 1000);
    process.kill(process.pid, 'SIGTERM');
  },
  'term-handled': () => {
    process.on('SIGTERM', () => {
      log(1);
      setTimeout(() => process.exit(7), 100);
    });
    log(499);
    process.kill(process.pid, 'SIGTERM');
  },
  /** Until it is killed. */
  ever: () => {
    setInterval(() => log(50), 2);
  },
  /** Logs, and says so when all of it lies in the spool. */
  spooled: () => {
    log(500);
    const timer = setInterval(() => {
      if (sender.counters.spooled < 500) return;
      clearInterval(timer);
      fs.writeSync(1, 'spooled\n');
      setInterval(() => {}, 1000);
    }, 10);
  },
};

ENDS[how]();
