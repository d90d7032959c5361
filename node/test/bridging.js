'use strict';

/** What bridges are tested with: a configuration that shares nothing with another's. */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { findPython, freePort } = require('./pipeline.js');

/** Configuration of a bridge; its folder goes with the test. */
async function ownConfig(t) {
  const cwd = fs.mkdtempSync(path.join(os.tmpdir(), 'log-system-'));
  t.after(() => fs.rmSync(cwd, { recursive: true, force: true }));
  return {
    host: '127.0.0.1',
    port: await freePort(),
    pythonPath: findPython(),
    cwd,
    takeoverMs: 0,
    ingest: { endpoint: `ipc://${cwd}/in` },
    publish: { endpoint: `ipc://${cwd}/out` },
    storage: { db_path: path.join(cwd, 'logs.db') },
    collector: { spool_dir: path.join(cwd, 'spool') },
    sender: { spoolDir: path.join(cwd, 'node-spool') },
  };
}

/** Ids of the processes that run in a folder. */
function processesIn(folder) {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => {
      try {
        return fs.readlinkSync(`/proc/${name}/cwd`) === folder;
      } catch (error) {
        return false; // it has ended
      }
    });
}

module.exports = { ownConfig, processesIn };
