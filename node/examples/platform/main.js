'use strict';

/** `node examples/platform/main.js [port]` from the folder node/ of the repository. */

const path = require('node:path');

const { Platform } = require('./platform.js');

async function main() {
  const configPath =
    process.env.LOG_CONFIG ??
    path.join(__dirname, '../../config/recursive.yaml');
  const platform = new Platform({ logSystem: { configPath } });
  await platform.start(Number(process.argv[2] ?? 3000));
  console.log(`platform: http://127.0.0.1:${platform.port}/orders/1`);
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => platform.stop().then(() => process.exit(0)));
  }
}

main();
