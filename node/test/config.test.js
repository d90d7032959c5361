'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');

const { environmentOfTree } = require('../src/config/environment.js');
const { ConfigError, createLogSystem, loadConfig } = require('../src/index.js');
const schema = require('../config/schema.json');
const { findPython } = require('./pipeline.js');

const REPOSITORY = path.join(__dirname, '..', '..');

/** A configuration of these lines, in a folder that goes with the test. */
function file(t, ...lines) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'config-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const name = path.join(folder, 'log.yaml');
  fs.writeFileSync(name, lines.join('\n'));
  return name;
}

test('the files of the package are those of the repository', () => {
  for (const name of ['default.yaml', 'recursive.yaml', 'schema.json']) {
    const [ours, theirs] = ['node/config', 'config'].map((folder) =>
      fs.readFileSync(path.join(REPOSITORY, folder, name), 'utf8'),
    );

    assert.equal(ours, theirs, `${name}: run make config`);
  }
});

test("a file's keys go over the defaults, key by key", (t) => {
  const config = loadConfig(
    file(
      t,
      'project_name: shop',
      'server:',
      '  port: 9000',
      'collectors:',
      '  recursive_http: {ignore_paths: [/ping]}',
      'alerts:',
    ),
  );

  assert.equal(config.project_name, 'shop');
  assert.equal(config.server.port, 9000);
  assert.equal(config.server.host, '127.0.0.1');
  assert.deepEqual(config.collectors.recursive_http.ignore_paths, ['/ping']);
  assert.equal(config.collectors.recursive_http.capture_body, false);
  assert.equal(config.alerts.enabled, true);
});

test('what is wrong is named with file, line and what would be right', (t) => {
  const f = (lines, where, problem, expected) => {
    const name = file(t, ...lines);
    assert.throws(
      () => loadConfig(name),
      (error) => {
        assert.ok(error instanceof ConfigError);
        assert.equal(error.where, where.replace('FILE', name));
        assert.equal(error.problem, problem.replace('FILE', name));
        assert.equal(error.expected, expected);
        return true;
      },
    );
  };
  f(
    ['server:', '  port: 99999'],
    'server.port',
    '99999 is wrong (FILE line 2)',
    'a whole number from 0 to 65535',
  );
  f(
    ['publish:', '  port: 1', 'server:', '  prot: 1'],
    'publish.port',
    'there is no such key (FILE line 2)',
    'endpoint',
  );
  f(
    ['server:', '  prot: 1'],
    'server.prot',
    'there is no such key (FILE line 2)',
    'port',
  );
  f(
    ['server: 5'],
    'server',
    '5 is wrong (FILE line 1)',
    'a section: keys below it, indented',
  );
  f(
    ['a: 1', 'server: [1'],
    'FILE line 3',
    'unexpected end of the stream within a flow collection',
    'valid YAML',
  );
  f(['- a'], 'FILE', 'holds no keys', 'sections such as server:');
  f(
    ['alerts:', '  channels:', '  - {type: pigeon}'],
    'alerts.channels[0].type',
    '"pigeon" is wrong (FILE line 2)',
    'one of console, file, webhook, slack, discord, email, alertmanager, apprise',
  );
  assert.throws(
    () => loadConfig('/no/such.yaml'),
    /\/no\/such\.yaml: can't be read \(ENOENT\)/,
  );
});

test('a whole tree reaches the pipeline by its environment', (t) => {
  const tree = {
    ...loadConfig(
      file(
        t,
        'project_name: "two words"',
        'alerts:',
        '  channels: [console, {type: file, path: /tmp/alerts}]',
        'collectors:',
        '  recursive_http: {ignore_paths: ["/a b"], capture_body: true}',
      ),
    ),
  };
  const program = `
import json, os
from dataclasses import asdict
from pipeline.settings import load
print(json.dumps(asdict(load(None, os.environ))))`;
  const env = { ...process.env, ...environmentOfTree(tree, schema) };
  const seen = JSON.parse(
    execFileSync(findPython(), ['-c', program], { cwd: REPOSITORY, env }),
  );

  assert.equal(seen.project_name, 'two words');
  assert.equal(seen.alerts.channels[1].path, '/tmp/alerts');
  assert.deepEqual(
    seen.collectors.recursive_http,
    tree.collectors.recursive_http,
  );
  assert.deepEqual(seen.storage, tree.storage);
  assert.deepEqual(seen.collector, tree.collector);
});

test('a log system is made from a path, a tree or the short form', (t) => {
  const name = file(t, 'server: {port: 9000}', 'project_name: shop');
  const of = (config) => {
    const { config: made, client } = createLogSystem(config);
    return [made.host, made.port, made.project_name, client.endpoint];
  };
  const here = 'http://127.0.0.1:9000/rpc';

  assert.deepEqual(of(), [
    'localhost',
    8888,
    'recursive-platform',
    'http://localhost:8888/rpc',
  ]);
  assert.deepEqual(of(name), ['127.0.0.1', 9000, 'shop', here]);
  assert.deepEqual(of({ configPath: name }), ['127.0.0.1', 9000, 'shop', here]);
  assert.deepEqual(of(loadConfig(name)), ['127.0.0.1', 9000, 'shop', here]);
  assert.deepEqual(of({ server: { port: 9000 } })[3], here);
  assert.deepEqual(of({ host: '::', port: 1 })[3], 'http://[::1]:1/rpc');
  const env = { PIPELINE_SERVER__PORT: '9001' };
  assert.deepEqual(of({ configPath: name, env })[1], 9001);
  assert.deepEqual(of({ configPath: name, env, port: 9002 })[1], 9002);
  assert.equal(createLogSystem(name).config.configPath, name);
  assert.equal(createLogSystem(name).config.autoStart, true);
  assert.throws(
    () => createLogSystem({ sever: {} }),
    /sever: there is no such key \(config\)/,
  );
});
