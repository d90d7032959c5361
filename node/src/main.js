#!/usr/bin/env node
'use strict';

/**
 * The log system as a program: `npm start [-- --config FILE]`. It runs until a signal, and
 * shows what the pipeline prints. One that runs already is only watched.
 */
const { parseArgs } = require('node:util');

const { createLogSystem } = require('./log-system.js');

async function main() {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  const logSystem = createLogSystem(values.config);
  logSystem.on('line', (line) => console.log(line));
  logSystem.on('down', (why) => console.error(`log system down: ${why}`));
  logSystem.on('warning', (error) => console.error(String(error.message)));
  logSystem.on('ready', () => {
    const { pid, client } = logSystem;
    const whose = pid === null ? 'of another process' : `process ${pid}`;
    console.log(`log system ready: ${client.endpoint}, ${whose}`);
    if (process.connected) process.send?.('ready'); // pm2 with wait_ready
  });
  await logSystem.start();
  setInterval(() => {}, 2 ** 30); // until a signal
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
