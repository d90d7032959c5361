'use strict';

/**
 * A transport of pino:
 *
 *     pino({ transport: { target: '@recursive/log-system/src/transports/pino.js',
 *                         options: { source: 'web', host: '127.0.0.1', port: 8888 } } })
 *
 * It runs in pino's worker thread, with a log system of its own that starts no pipeline
 * unless `autoStart` is true. In the program's own thread: `pino(pinoTransport({logSystem}))`.
 *
 * @module
 */

const { Writable } = require('node:stream');
const { StringDecoder } = require('node:string_decoder');

const { field, isRecord, word } = require('../collectors/collector.js');
const { Redactor } = require('../collectors/redact.js');

/** pino's own levels; numbers between are taken for the next lower one. */
const LEVELS = /** @type {const} */ ([
  [60, 'FATAL'],
  [50, 'ERROR'],
  [40, 'WARN'],
  [30, 'INFO'],
  [20, 'DEBUG'],
]);

/** Fields of a line that are not metadata. */
const OWN = new Set(['level', 'time', 'msg', 'trace_id', 'traceId', 'tags']);

/** Of the bridge; pino adds others to what it hands to a transport. */
const OPTIONS = new Set([
  ...['host', 'port', 'pythonPath', 'autoStart', 'configPath', 'cwd', 'env'],
  ...['startTimeoutMs', 'stopTimeoutMs', 'watchMs', 'sender'],
]);

/** What is read of a line that never ends. */
const MAX_LINE = 4 << 20;
const MAX_MESSAGE = 1 << 16;

/**
 * @typedef {object} PinoOptions
 * @property {string} [source] of entries whose logger has no name; `pino`
 * @property {import('../collectors/collector.js').LogSystem & {stop?: () => Promise<void>}} [logSystem] one of this thread; it is not stopped with the stream
 * @property {string} [configPath]
 * @property {string} [host]
 * @property {number} [port]
 * @property {boolean} [autoStart] whether it may start a pipeline (false)
 */

/**
 * A line of pino as an entry.
 * @param {string} line
 * @param {string} source
 * @param {Redactor} redactor
 * @returns {import('../collectors/collector.js').Entry}
 */
function entryOf(line, source, redactor) {
  const record = recordOf(line);
  if (record === undefined) {
    return { source, level: 'INFO', message: redactor.text(line, MAX_MESSAGE) };
  }
  const { level, time, msg, tags, name } = record;
  const metadata = Object.fromEntries(
    Object.entries(record).filter(([key]) => !OWN.has(key)),
  );
  /** @type {import('../collectors/collector.js').Entry} */
  const entry = {
    source: word(name) || source,
    level: levelOf(level),
    message: redactor.text(msg ?? '', MAX_MESSAGE),
    metadata: /** @type {Record<string, unknown>} */ (redactor.value(metadata)),
  };
  const trace = word(field(record, 'trace_id', 'traceId'));
  if (Array.isArray(tags)) entry.tags = tags.map(String);
  if (trace !== undefined) entry.trace_id = trace;
  const timestamp = word(time);
  if (timestamp !== undefined) entry.timestamp = timestamp;
  return entry;
}

/**
 * @param {string} line
 * @returns {Record<string, any> | undefined} undefined when it is none of pino's
 */
function recordOf(line) {
  try {
    const record = JSON.parse(line);
    return isRecord(record) ? record : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {unknown} level pino's number, or a label that a formatter has made of it
 * @returns {string}
 */
function levelOf(level) {
  if (typeof level === 'string') return level.toUpperCase();
  const found = LEVELS.find(([least]) => Number(level) >= least);
  return found === undefined ? 'TRACE' : found[1];
}

/**
 * A stream that takes pino's lines. It never holds pino back: the log system's own bound
 * and counters say what is dropped.
 * @param {PinoOptions} [options]
 * @returns {Writable}
 */
function pinoTransport({ source = 'pino', logSystem, ...given } = {}) {
  const options = Object.fromEntries(
    Object.entries(given).filter(([name]) => OPTIONS.has(name)),
  );
  const redactor = new Redactor();
  const target = logSystem ?? ownLogSystem(options);
  const decoder = new StringDecoder('utf8');
  let rest = '';
  /** @param {string} text */
  const take = (text) => {
    const lines = (rest + text).split('\n');
    rest = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) {
      if (line !== '') target.log(entryOf(line, source, redactor));
    }
  };
  return new Writable({
    decodeStrings: true,
    write(chunk, _encoding, done) {
      take(decoder.write(chunk));
      done();
    },
    final(done) {
      take(`${decoder.end()}\n`);
      if (logSystem !== undefined) return done();
      Promise.resolve(target.stop?.()).then(() => done(), done);
    },
  });
}

/**
 * @param {Record<string, any>} options
 * @returns {import('../collectors/collector.js').LogSystem & {stop?: () => Promise<void>}}
 */
function ownLogSystem(options) {
  const { createLogSystem } = require('../log-system.js');
  // the end of the process is told to the worker by pino, not by signals
  const bridge = createLogSystem({
    autoStart: false,
    exitHooks: false,
    ...options,
  });
  bridge.on('warning', () => {});
  bridge.start().catch(() => {}); // it goes on looking; entries wait
  return bridge;
}

module.exports = pinoTransport;
module.exports.default = pinoTransport;
module.exports.pinoTransport = pinoTransport;
