'use strict';

const { urlOf } = require('../process/address.js');
const { ConfigError } = require('../errors.js');
const { environmentOfTree } = require('./environment.js');
const { checkTree, fileOf, loadConfig, schema } = require('./load-config.js');
const { merge } = require('./merge.js');

/**
 * How a LogSystemBridge reaches its pipeline; the rest of what it is given is configuration.
 * @typedef {object} Options
 * @property {string} [host] of the gateway; else PIPELINE_SERVER__HOST, server.host, localhost
 * @property {number} [port] of the gateway; else PIPELINE_SERVER__PORT, server.port, 8888
 * @property {string} [token] shown to a gateway that wants one; else PIPELINE_TOKEN
 * @property {string} [pythonPath] the interpreter that is tried first
 * @property {boolean} [autoStart] whether start() may start a pipeline (true)
 * @property {string} [configPath] a YAML file, for the pipeline too
 * @property {string} [cwd] folder in which the pipeline runs: relative paths start there
 * @property {NodeJS.ProcessEnv} [env] of the pipeline; that of this process
 * @property {number} [startTimeoutMs] longest that start() waits (30,000)
 * @property {number} [stopTimeoutMs] longest that stop() waits for what is on its way, and
 *   then for the pipeline (15,000 each)
 * @property {number} [watchMs] how often the pipeline is looked after (1,000)
 * @property {number} [takeoverMs] how long a pipeline that another started may be away before
 *   this process starts one (5,000)
 * @property {boolean} [exitHooks] whether the end of the process is an end of the log system
 *   (true)
 * @property {Record<string, any>} [sender] limits of the Sender, and its spoolDir
 */

/** Keys of Options: they are none of the configuration. */
const KEYS = Object.freeze([
  ...['host', 'port', 'token', 'pythonPath', 'autoStart', 'configPath', 'cwd', 'env'],
  ...['startTimeoutMs', 'stopTimeoutMs', 'watchMs', 'takeoverMs', 'exitHooks', 'sender'],
]);

/**
 * @typedef {'token' | 'pythonPath' | 'configPath' | 'env'} Optional
 * @typedef {import('./load-config.js').Config & Required<Omit<Options, Optional>>
 *   & Pick<Options, Optional>} BridgeConfig
 * @typedef {{config: BridgeConfig, url: string, variables: Record<string, string>}} Resolved
 *   `variables`: of the pipeline's environment, for what no file has
 */

/**
 * The configuration as a whole: a tree of loadConfig, the short form, or both.
 * @param {Options & Record<string, any>} [given]
 * @returns {Resolved}
 */
function resolve(given = {}) {
  const { options, tree } = parted(given);
  const configPath = options.configPath ?? fileOf(given);
  const { base, isOwn } = baseOf(given, tree, configPath);
  const isNamed = configPath !== undefined || 'server' in tree;
  const { host, port } = addressOf(options, base, isNamed);
  const token = tokenOf(options);
  const config = {
    ...base,
    autoStart: base.server.auto_start !== false,
    ...defaults(),
    ...options,
    ...(configPath && { configPath }),
    ...(token && { token }),
    host,
    port,
    server: { ...base.server, host, port },
  };
  return {
    config: /** @type {BridgeConfig} */ (/** @type {unknown} */ (config)),
    url: urlOf(host, port),
    variables: isOwn ? environmentOfTree(tree, schema()) : {},
  };
}

/**
 * The tree with what it leaves open; `isOwn`: a program made it, and no file has it.
 * @param {Record<string, any>} given
 * @param {Record<string, any>} tree
 * @param {string | undefined} configPath
 */
function baseOf(given, tree, configPath) {
  if (fileOf(given) !== undefined) return { base: tree, isOwn: false };
  const isOwn = Object.keys(tree).length > 0;
  if (isOwn) checkTree(tree);
  return { base: merge(loadConfig(configPath), tree), isOwn };
}

const defaults = () => ({
  cwd: process.cwd(),
  startTimeoutMs: 30_000,
  stopTimeoutMs: 15_000,
  watchMs: 1_000,
  takeoverMs: 5_000,
  exitHooks: true,
  sender: {},
});

/** @param {Record<string, any>} given */
function parted(given) {
  /** @type {Options} */
  const options = {};
  /** @type {Record<string, any>} */
  const tree = {};
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) continue;
    Object.assign(KEYS.includes(key) ? options : tree, { [key]: value });
  }
  return { options, tree };
}

/**
 * Where the gateway is: the options, the environment as the pipeline reads it, the file.
 * @param {Options} options
 * @param {Record<string, any>} base
 * @param {boolean} isNamed whether a file or tree says it
 */
function addressOf(options, { server }, isNamed) {
  const { PIPELINE_SERVER__HOST: envHost, PIPELINE_SERVER__PORT: envPort } =
    options.env ?? process.env;
  const host = options.host ?? (envHost || (isNamed ? server.host : 'localhost'));
  const port = options.port ?? (envPort ? Number(envPort) : server.port);
  checkPort(port);
  return { host, port };
}

/**
 * What is shown to the gateway, if anything. It goes into a header as it is.
 * @param {Options} options
 */
function tokenOf({ token, env = process.env }) {
  const given = token ?? env.PIPELINE_TOKEN;
  if (!given || /^[\x21-\x7e]+$/.test(given)) return given;
  throw new ConfigError('token', 'has characters that none has', 'as it was printed');
}

/** @param {number} port */
function checkPort(port) {
  if (Number.isInteger(port) && port > 0 && port < 65536) return;
  const problem = `${JSON.stringify(port)} is none that can be asked`;
  throw new ConfigError('server.port', problem, 'a port from 1 to 65535');
}

module.exports = { resolve };
