'use strict';

const assert = require('node:assert/strict');
const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const {
  StdioClientTransport,
} = require('@modelcontextprotocol/sdk/client/stdio.js');
const test = require('node:test');
const supertest = require('supertest');

const { incidents } = require('../../examples/platform/incidents/index.js');
const { Platform } = require('../../examples/platform/platform.js');
const { Pipeline, freePort, until } = require('../pipeline.js');

/** A platform whose log system is this pipeline, whether it runs or not. */
function platformOf(pipeline) {
  return new Platform({
    logSystem: {
      host: pipeline.host,
      port: pipeline.port,
      autoStart: false,
      exitHooks: false,
      watchMs: 100,
      startTimeoutMs: 500,
      sender: { spoolDir: pipeline.spoolDir },
      collectors: { recursive_ai: { timeout_seconds: 1 } },
    },
  });
}

/** A language model's client of the pipeline's tools. */
async function modelOf(pipeline) {
  const client = new Client({ name: 'model', version: '1' });
  const transport = new StdioClientTransport({
    command: pipeline.python,
    args: ['-m', 'pipeline', 'mcp', '--url', pipeline.url],
    env: pipeline.environ,
  });
  await client.connect(transport);
  return client;
}

test('The sample platform against a real pipeline', async (t) => {
  const pipeline = new Pipeline(await freePort());
  t.after(() => pipeline.close());
  const platform = platformOf(pipeline);

  await t.test('It serves while there is no log system.', async () => {
    await platform.start();
    await supertest(platform.server).get('/orders/1').expect(200);
    assert.equal(platform.logSystem.isReady, false);
  });

  await t.test(
    'When the log system comes, what was logged before is in it.',
    async () => {
      await pipeline.start('ingester', 'gateway');
      await until(() => platform.logSystem.isReady, 'ready');
      await supertest(platform.server).get('/orders/2').expect(200);
      assert.ok(await platform.logSystem.sender.flush(20_000));

      const { logs } = await platform.logSystem.query({
        q: 'path:"/orders/1" OR path:"/orders/2"',
      });
      assert.deepEqual(
        logs.map((log) => log.message),
        ['GET /orders/2 - 200', 'GET /orders/1 - 200'],
      );
    },
  );

  await t.test(
    'A request, its query and its calls are one trace.',
    async () => {
      const traceparent =
        '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
      const call = { id: 1, method: 'tools/call' };
      await supertest(platform.server)
        .post('/mcp')
        .set('traceparent', traceparent)
        .send({ ...call, params: { name: 'add', arguments: { a: 1, b: 2 } } })
        .expect(200, /"text":"3"/);
      assert.ok(await platform.logSystem.sender.flush(20_000));

      const trace = await platform.logSystem.call('get_trace', {
        trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
      });
      assert.deepEqual(
        trace.logs.map((log) => log.message),
        [
          'MCP tools/call called',
          'MCP tools/call completed',
          'POST /mcp - 200',
        ],
      );
    },
  );

  await t.test(
    'What it logs while the log system is away is in it later.',
    async () => {
      await pipeline.kill('gateway');
      await pipeline.kill('ingester');
      await until(() => !platform.logSystem.isReady, 'down');
      await supertest(platform.server).get('/orders/3').expect(200);
      await pipeline.start('ingester', 'gateway');
      await until(() => platform.logSystem.isReady, 'ready again');
      assert.ok(await platform.logSystem.sender.flush(20_000));

      const { logs } = await platform.logSystem.query({
        q: 'path:"/orders/3"',
      });
      assert.equal(logs.length, 1);
    },
  );

  const ask = (path, options) =>
    fetch(`http://127.0.0.1:${platform.port}${path}`, options);
  for (const incident of incidents) await incident.happens(platform, ask);
  assert.ok(await platform.logSystem.sender.flush(20_000));
  assert.equal(incidents.length, 10);
  const model = await modelOf(pipeline);
  for (const { name, calls, telling } of incidents) {
    await t.test(
      `The cause of ${name} is in the replies of its calls.`,
      async () => {
        assert.ok(calls.length <= 3);
        const replies = [];
        for (const [tool, params] of calls) {
          const call = { name: tool, arguments: params };
          const { content, isError } = await model.callTool(call);
          assert.ok(!isError, content[0].text);
          replies.push(JSON.parse(content[0].text));
        }
        const text = JSON.stringify(replies).replaceAll('\\"', '"');
        for (const fact of telling) {
          assert.doesNotMatch(JSON.stringify(calls), fact);
          assert.match(text, fact);
        }
      },
    );
  }

  await t.test(
    'Who knows nothing learns all causes by two calls.',
    async () => {
      const replies = await Promise.all(
        ['debug_session', 'analyze_performance'].map((name) =>
          model.callTool({ name }),
        ),
      );
      const text = replies
        .map(({ content }) => content[0].text.replaceAll('\\"', '"'))
        .join();
      for (const { telling } of incidents) {
        for (const fact of telling) assert.match(text, fact);
      }
    },
  );

  await model.close();
  await t.test('It ends with no line lost.', async () => {
    for (let i = 0; i < 50; i += 1) {
      platform.logger.emit('log', 'info', `last words ${i}`);
    }
    const { sender } = platform.logSystem;
    await platform.stop();

    const { logged, stored } = sender.counters;
    assert.equal(stored, logged);
    const messages = (await pipeline.logs('recursive_server')).map(
      (log) => log.message,
    );
    assert.equal(messages[0], 'platform started');
    assert.equal(messages.filter((text) => /last words/.test(text)).length, 50);
    assert.equal(messages.at(-1), 'platform stopped');
  });
});
