'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const REPOSITORY = path.join(__dirname, '..', '..', '..');

/**
 * The interpreters to try, best first: the one that was named, `.venv` beside the
 * configuration (or above its folder, or in `cwd`), then python3.
 * @param {{pythonPath?: string, configPath?: string, cwd: string}} places
 * @returns {string[]}
 */
function interpreters({ pythonPath, configPath, cwd }) {
  const folders = [cwd];
  if (configPath !== undefined) {
    const beside = path.dirname(path.resolve(cwd, configPath));
    folders.unshift(beside, path.dirname(beside));
  }
  const environments = folders
    .map((folder) => path.join(folder, '.venv', 'bin', 'python'))
    .filter((file) => fs.existsSync(file));
  const named = pythonPath === undefined ? [] : [resolved(pythonPath, cwd)];
  return [...new Set([...named, ...environments, 'python3'])];
}

/**
 * A path with a folder in it starts at `cwd`; a mere name is looked for in PATH.
 * @param {string} name
 * @param {string} cwd
 */
function resolved(name, cwd) {
  return name.includes('/') ? path.resolve(cwd, name) : name;
}

/** The line that installs the pipeline where `interpreters` finds it. */
function installLine() {
  const isCheckout = fs.existsSync(path.join(REPOSITORY, 'pyproject.toml'));
  const what = isCheckout ? REPOSITORY : 'recursive-log-pipeline';
  return `python3 -m venv .venv && .venv/bin/pip install ${what}`;
}

/**
 * The child's environment. A folder `pipeline` of the host's, in which it runs, must not be
 * taken for the module. Where no byte code may be written beside the modules, as in most
 * containers, it goes to the user's cache: compiling anew doubles the time of each start.
 * @param {NodeJS.ProcessEnv} environ
 * @returns {NodeJS.ProcessEnv}
 */
function environmentOf(environ) {
  /** @type {NodeJS.ProcessEnv} */
  const safe = { PYTHONSAFEPATH: '1', ...environ };
  const { PYTHONDONTWRITEBYTECODE: forbidden, ...rest } = safe;
  if (!forbidden || environ.PYTHONPYCACHEPREFIX) return safe;
  const cache = environ.XDG_CACHE_HOME || path.join(os.homedir(), '.cache');
  const folder = path.join(cache, 'recursive-log-pipeline', 'bytecode');
  return { ...rest, PYTHONPYCACHEPREFIX: folder };
}

module.exports = { environmentOf, installLine, interpreters };
