'use strict';

/**
 * A program with a log system: starts it, says who it is, then does what the arguments say.
 * Usage: host.js CONFIG (stay | end | own-handler | throw)
 */
const { LogSystemBridge } = require('../../src/index.js');

const [config, then] = process.argv.slice(2);
const bridge = new LogSystemBridge(JSON.parse(config));

async function main() {
  await bridge.start();
  await bridge.log({ source: 'host', message: 'hello' });
  console.log(JSON.stringify({ pid: bridge.pid }));
  if (then === 'own-handler') {
    process.on('SIGTERM', () => setTimeout(() => process.exit(7), 50));
  }
  if (then !== 'end' && then !== 'throw') setInterval(() => {}, 1000);
  bridge.log({ source: 'host', message: 'bye' });
  if (then === 'throw') throw new Error('a bug of the host');
}

main();
