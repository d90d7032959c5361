'use strict';

/**
 * The pipeline alone, in the foreground: `npm run start:python [-- OPTIONS]`, with the
 * options of `pipeline up`. Finds Python as the bridge does.
 */
const { spawn } = require('node:child_process');

const {
  environmentOf,
  installLine,
  interpreters,
} = require('./process/python.js');

const options = process.argv.slice(2);
const at = options.indexOf('--config');
const configPath = at < 0 ? undefined : options[at + 1];
const cwd = process.cwd();
const [python] = interpreters({ configPath, cwd });

const child = spawn(python, ['-m', 'pipeline', 'up', ...options], {
  stdio: 'inherit',
  env: environmentOf(process.env),
});
// a terminal's Ctrl-C reaches the child too: it says when it is over
for (const signal of /** @type {const} */ (['SIGTERM', 'SIGINT', 'SIGHUP']))
  process.on(signal, () => child.kill(signal));
child.on('error', () => {
  console.error(`${python} is not there. Install it: ${installLine()}`);
  process.exitCode = 1;
});
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
