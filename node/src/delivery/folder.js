'use strict';

const os = require('node:os');
const path = require('node:path');

/**
 * Where spools lie unless somebody says otherwise: one folder for each gateway, so that
 * entries for one are never sent to another.
 * @param {string} endpoint
 * @param {NodeJS.ProcessEnv} [env]
 */
function defaultFolder(endpoint, env = process.env) {
  const state =
    env.XDG_STATE_HOME || path.join(os.homedir(), '.local', 'state');
  const gateway = new URL(endpoint).host.replace(/[^\w.-]/g, '_');
  return path.join(state, 'recursive-log-pipeline', 'node-spool', gateway);
}

module.exports = { defaultFolder };
