'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { after, test } = require('node:test');

const { ConfigError, LogSystemBridge } = require('../src/index.js');
const { ownConfig } = require('./bridging.js');
const { findPython } = require('./pipeline.js');

// a bridge that waits for its pipeline keeps no process
const keep = setInterval(() => {}, 1000);
after(() => clearInterval(keep));

/** A new token of a store. */
function tokenOf(config, role) {
  const env = {
    ...process.env,
    PIPELINE_STORAGE__DB_PATH: config.storage.db_path,
  };
  const words = ['-m', 'pipeline', 'token', 'create', '--role', role];
  return execFileSync(findPython(), words, { env, encoding: 'utf8' }).trim();
}

test('a bridge shows its token to a gateway that wants one', async (t) => {
  const config = await ownConfig(t);
  const token = tokenOf(config, 'admin');
  const guarded = { ...config, authentication: { enabled: true } };
  const bridge = new LogSystemBridge({ ...guarded, token });
  t.after(() => bridge.stop());
  await bridge.start();

  const receipt = await bridge.log({ source: 'shop', message: 'shown' });
  const { logs } = await bridge.query({ sources: ['shop'] });
  const bare = new LogSystemBridge({ ...guarded, autoStart: false, env: {} });
  t.after(() => bare.stop());

  assert.equal(receipt.status, 'received');
  assert.deepEqual(
    logs.map((entry) => entry.message),
    ['shown'],
  );
  await assert.rejects(bare.client.call('query', {}), {
    name: 'RPCError',
    code: -32600,
  });
});

test('PIPELINE_TOKEN is the token of who names none', () => {
  const env = { PIPELINE_TOKEN: 'plt_of_the_environment' };

  const { headers } = new LogSystemBridge({ env }).client;
  const named = new LogSystemBridge({ env, token: 'plt_named' }).client;

  assert.equal(headers.authorization, 'Bearer plt_of_the_environment');
  assert.equal(named.headers.authorization, 'Bearer plt_named');
});

test('what is no token is refused by name', () => {
  assert.throws(() => new LogSystemBridge({ token: 'a\r\nb' }), ConfigError);
});
