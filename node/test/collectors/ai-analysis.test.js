'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { EventEmitter } = require('node:events');
const test = require('node:test');

const {
  AIAnalysisCollector,
} = require('../../src/collectors/ai-analysis-collector.js');
const { Recording } = require('./recording.js');
const { until } = require('./serving.js');

/** A started collector, its bus and what it logged. */
function collecting(t, section = {}, options = {}) {
  const logSystem = new Recording({ recursive_ai: section });
  const eventBus = new EventEmitter();
  const collector = new AIAnalysisCollector(logSystem, {
    eventBus,
    ...options,
  });
  t.after(() => collector.stop());
  return { logSystem, eventBus, collector: collector.start() };
}

test('An analysis is an INFO when it starts and when it ends, of one trace.', (t) => {
  let now = 0;
  const { logSystem, eventBus } = collecting(t, {}, { now: () => now });

  eventBus.emit('ai:analysis:start', {
    analysis_id: 'a1',
    analysis_type: 'sentiment',
    input_size: 2048,
    trace_id: 't1',
  });
  now = 40;
  eventBus.emit('ai:analysis:complete', { analysis_id: 'a1', result_size: 12 });

  assert.deepEqual(logSystem.entries, [
    {
      source: 'recursive_ai',
      level: 'INFO',
      message: 'AI sentiment started',
      metadata: {
        analysis_type: 'sentiment',
        input_size: 2048,
        analysis_id: 'a1',
      },
      tags: ['ai', 'analysis', 'start'],
      trace_id: 't1',
    },
    {
      source: 'recursive_ai',
      level: 'INFO',
      message: 'AI sentiment completed',
      metadata: {
        analysis_type: 'sentiment',
        analysis_id: 'a1',
        duration_ms: 40,
        input_size: 2048,
        result_size: 12,
      },
      tags: ['ai', 'analysis', 'complete'],
      trace_id: 't1',
    },
  ]);
});

test('An analysis that fails is an ERROR.', (t) => {
  const { logSystem, eventBus } = collecting(t);

  eventBus.emit('ai:analysis:complete', {
    analysisId: 'a1',
    type: 'ocr',
    error: new Error('out of memory'),
  });
  assert.equal(logSystem.last.level, 'ERROR');
  assert.equal(logSystem.last.message, 'AI ocr failed');
  assert.equal(logSystem.last.metadata.error, 'out of memory');

  eventBus.emit('ai:analysis:error', { analysisId: 'a2', type: 'ocr' });
  assert.equal(logSystem.last.metadata.error, 'failed');
});

test('An analysis that never ends is reported, with its worker.', (t) => {
  let now = 0;
  const { logSystem, eventBus, collector } = collecting(
    t,
    { timeout_seconds: 30 },
    { now: () => now },
  );

  const start = { analysis_id: 'a1', analysis_type: 'ocr', worker: 'gpu-2' };
  eventBus.emit('ai:analysis:start', start);
  now = 29_999;
  collector.expire();
  assert.equal(logSystem.entries.length, 1);
  now = 30_000;
  collector.expire();

  assert.equal(logSystem.last.level, 'WARN');
  assert.equal(logSystem.last.message, 'AI ocr has not completed');
  assert.equal(logSystem.last.metadata.worker, 'gpu-2');
  assert.equal(logSystem.last.metadata.waited_ms, 30_000);
  assert.equal(collector.counters.pending, 0);
});

test('What has not ended when the collector stops is reported, too.', (t) => {
  const { logSystem, eventBus, collector } = collecting(t);

  eventBus.emit('ai:analysis:start', { analysis_id: 'a1' });
  collector.stop();

  assert.equal(logSystem.last.message, 'AI analysis has not completed');
});

test('A Python call is an entry with its duration, and one that fails an ERROR.', (t) => {
  const { logSystem, eventBus } = collecting(t);

  eventBus.emit('ai:python:call', { function: 'embed', duration_ms: 12.5 });
  assert.equal(logSystem.last.message, 'Python embed completed');
  assert.deepEqual(logSystem.last.metadata, {
    function: 'embed',
    duration_ms: 12.5,
  });

  eventBus.emit('ai:python:call', { function: 'embed', exit_code: 137 });
  assert.equal(logSystem.last.level, 'ERROR');
  assert.equal(logSystem.last.metadata.exit_code, 137);
});

test('python() follows a value, a promise and a child process.', async (t) => {
  const { logSystem, collector } = collecting(t);

  assert.equal(
    collector.python('sync', () => 7),
    7,
  );
  assert.equal(await collector.python('async', async () => 8), 8);
  const failing = collector.python('bad', () =>
    Promise.reject(new Error('no')),
  );
  await assert.rejects(failing, /no/);
  assert.throws(
    () =>
      collector.python('worse', () => {
        throw new Error('now');
      }),
    /now/,
  );
  collector.python('script.py', () =>
    spawn(process.execPath, ['-e', 'process.exit(3)']),
  );
  await until(() => logSystem.entries.length === 5);

  assert.deepEqual(
    logSystem.entries.map((entry) => entry.message),
    [
      'Python sync completed',
      'Python async completed',
      'Python bad failed',
      'Python worse failed',
      'Python script.py failed',
    ],
  );
  assert.equal(logSystem.last.metadata.exit_code, 3);
  assert.ok(logSystem.last.metadata.duration_ms > 0);
});

test('log_python_calls: false counts them only.', (t) => {
  const { logSystem, eventBus, collector } = collecting(t, {
    log_python_calls: false,
  });

  eventBus.emit('ai:python:call', { function: 'embed', duration_ms: 1 });

  assert.equal(logSystem.entries.length, 0);
  assert.equal(collector.counters.python_calls, 1);
});
