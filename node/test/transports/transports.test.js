'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');
const pino = require('pino');
const winston = require('winston');

const pinoTransport = require('../../src/transports/pino.js');
const { RecursiveTransport } = require('../../src/transports/winston.js');
const { Recording } = require('../collectors/recording.js');
const { Pipeline, freePort, until } = require('../pipeline.js');

test("pino's lines are entries with its level, time, fields and error.", () => {
  const logSystem = new Recording();
  const logger = pino(
    { name: 'web', base: {}, level: 'trace' },
    pinoTransport({ logSystem }),
  );

  logger.warn({ user: 'ann', password: 'x', trace_id: 't1' }, 'careful');
  logger.error(new TypeError('no row'));
  logger.trace('fine');

  const [warn, error, trace] = logSystem.entries;
  assert.equal(warn.source, 'web');
  assert.equal(warn.level, 'WARN');
  assert.equal(warn.message, 'careful');
  assert.equal(warn.trace_id, 't1');
  assert.match(warn.timestamp, /^\d{13}$/);
  assert.deepEqual(warn.metadata, {
    name: 'web',
    user: 'ann',
    password: '[redacted]',
  });
  assert.equal(error.message, 'no row');
  assert.equal(error.metadata.err.type, 'TypeError');
  assert.equal(trace.level, 'TRACE');
});

test('Lines in pieces, in between levels and what is no JSON are taken.', (t, done) => {
  const logSystem = new Recording();
  const stream = pinoTransport({ logSystem });
  const line = Buffer.from(
    '{"level":35,"msg":"h\u00e9llo"}\nplain\n{"level":60,"msg":"last"}',
  );

  for (const byte of line) stream.write(Buffer.from([byte]));
  stream.end(() => {
    assert.deepEqual(
      logSystem.entries.map(({ level, message }) => [level, message]),
      [
        ['INFO', 'h\u00e9llo'],
        ['INFO', 'plain'],
        ['FATAL', 'last'],
      ],
    );
    done();
  });
});

test("In pino's worker thread entries reach a real pipeline.", async (t) => {
  const pipeline = new Pipeline(await freePort());
  t.after(() => pipeline.close());
  await pipeline.start('ingester', 'gateway');
  const transport = pino.transport({
    target: path.join(__dirname, '../../src/transports/pino.js'),
    options: {
      source: 'api',
      host: pipeline.host,
      port: pipeline.port,
      sender: { spoolDir: pipeline.spoolDir },
    },
  });
  const logger = pino(transport);

  for (let i = 0; i < 20; i += 1) logger.info({ i }, 'from the worker');
  await new Promise((resolve) => logger.flush(resolve));
  transport.end();
  const logs = await until(async () => {
    const found = await pipeline.logs('api');
    return found.length >= 20 && found;
  }, '20 entries');

  assert.equal(logs.length, 20);
  assert.deepEqual(
    logs.map((log) => log.metadata.i),
    Array.from({ length: 20 }, (_, i) => i),
  );
});

test("winston's records are entries with its level and fields.", () => {
  const logSystem = new Recording();
  const logger = winston.createLogger({
    level: 'silly',
    transports: [new RecursiveTransport({ logSystem, source: 'web' })],
  });

  logger.warn('careful', { user: 'ann', token: 'x', tags: ['a'] });
  logger.silly('fine');
  logger.child({ traceId: 't1' }).error(new Error('no row'));

  const [warn, silly, error] = logSystem.entries;
  assert.deepEqual(warn, {
    source: 'web',
    level: 'WARN',
    message: 'careful',
    metadata: { user: 'ann', token: '[redacted]' },
    tags: ['a'],
  });
  assert.equal(silly.level, 'TRACE');
  assert.equal(error.message, 'no row');
  assert.equal(error.trace_id, 't1');
  assert.match(error.metadata.stack, /transports\.test\.js/);
});

test('A log system that fails is not noticed by winston, and its absence is told.', () => {
  const logSystem = {
    log() {
      throw new Error('broken');
    },
  };
  const transports = [new RecursiveTransport({ logSystem })];

  winston.createLogger({ transports }).info('still here');
  assert.throws(
    () => new RecursiveTransport({}),
    /logSystem: has no method log/,
  );
});
