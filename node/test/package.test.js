'use strict';

/** The package as its users get it: packed, installed in an empty project, and as documented. */

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { promisify } = require('node:util');

const { ENTRIES } = require('../scripts/entries.js');
const { findPython, freePort } = require('./pipeline.js');

const run = promisify(execFile);

const ROOT = path.join(__dirname, '..');
const README = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8');
const PROGRAM = /```js\n(.*?)```\n\n```console\n\$ node (\S+)\n(.*?)```/gs;
const DEPENDENCIES = ['js-yaml', 'argparse', 'express'];
const PEERS = ['pino', 'winston'];
const NPM = ['--offline', '--ignore-scripts', '--no-audit', '--no-fund'];

let project;
let tarball;

/** A package of ours as a dependency that needs no network. */
const local = (name) => `${path.join(ROOT, 'node_modules', name)}`;

before(async () => {
  project = fs.mkdtempSync(path.join(os.tmpdir(), 'project-'));
  const flags = ['pack', '--json', '--pack-destination', project];
  const { stdout } = await run('npm', flags, { cwd: ROOT });
  tarball = path.join(project, JSON.parse(stdout)[0].filename);
  fs.writeFileSync(path.join(project, 'package.json'), '{"private": true}');
  const packages = [tarball, ...[...DEPENDENCIES, ...PEERS].map(local)];
  await run('npm', ['install', ...NPM, ...packages], { cwd: project });
  const environment = path.dirname(path.dirname(findPython()));
  fs.symlinkSync(environment, path.join(project, '.venv'));
});

after(() => fs.rmSync(project, { recursive: true, force: true }));

/** Surroundings in which nothing of this machine is touched. */
async function surroundings() {
  const folder = fs.mkdtempSync(path.join(project, 'run-'));
  return {
    ...process.env,
    PIPELINE_SERVER__PORT: String(await freePort()),
    PIPELINE_INGEST__ENDPOINT: `ipc://${folder}/in`,
    PIPELINE_PUBLISH__ENDPOINT: `ipc://${folder}/out`,
    PIPELINE_STORAGE__DB_PATH: path.join(folder, 'logs.db'),
    XDG_STATE_HOME: folder,
  };
}

test("the README's programs print what it says, in an empty project", async () => {
  const programs = [...README.matchAll(PROGRAM)];
  assert.equal(programs.length, 3);
  for (const [, text, name, expected] of programs) {
    fs.writeFileSync(path.join(project, name), text);
    const env = await surroundings();
    const { stdout } = await run(process.execPath, [name], {
      cwd: project,
      env,
    });

    assert.equal(stdout, expected, name);
  }
});

test('every entry point can be required and imported, with or without .js', async () => {
  const paths = ENTRIES.filter((entry) =>
    fs.existsSync(path.join(ROOT, 'src', `${entry}.js`)),
  ).flatMap((entry) => [`src/${entry}`, `src/${entry}.js`]);
  const program = `
    const name = '@recursive/log-system';
    const assert = require('node:assert/strict');
    (async () => {
      for (const entry of ['', ...${JSON.stringify(paths)}]) {
        const path = entry ? name + '/' + entry : name;
        const required = require(path), imported = await import(path);
        assert.equal(imported.default, required, path);
        for (const key of Object.keys(required))
          assert.equal(imported[key], required[key], path + ' ' + key);
      }
    })();`;

  await run(process.execPath, ['-e', program], { cwd: project });
});

test('neither publint nor are-the-types-wrong finds anything', async () => {
  const bin = (name) => path.join(ROOT, 'node_modules', '.bin', name);

  await run(bin('publint'), [tarball, '--strict'], { cwd: ROOT });
  await run(bin('attw'), [tarball], { cwd: ROOT });
});

test('a program in TypeScript is checked against the types', async () => {
  const lines = [
    "import { LogSystemBridge, getLogSystem, loadConfig } from '@recursive/log-system';",
    "import { JSONRPCClient } from '@recursive/log-system/src/utils/json-rpc-client.js';",
    'const bridge: LogSystemBridge = await getLogSystem();',
    "const receipt = await bridge.log({ source: 'a', level: 'INFO', message: 'b' });",
    "if (receipt.status === 'received') receipt.id.toUpperCase();",
    'else receipt.reason.toUpperCase();',
    'const port: number = loadConfig().server.port;',
    'const client: JSONRPCClient = bridge.client;',
    '// @ts-expect-error a message is text',
    "bridge.log({ source: 'a', level: 'INFO', message: 1 });",
    'export { client, port };',
  ];
  fs.writeFileSync(path.join(project, 'program.mts'), lines.join('\n'));
  const compiler = require.resolve('typescript/bin/tsc');
  const flags = [
    '--noEmit',
    '--strict',
    '--module',
    'node16',
    '--target',
    'es2022',
  ];
  const types = ['--typeRoots', path.join(ROOT, 'node_modules', '@types')];
  const found = await run(
    process.execPath,
    [compiler, ...flags, ...types, '--types', 'node', 'program.mts'],
    { cwd: project },
  ).catch((error) => assert.fail(error.stdout));

  assert.equal(found.stdout, '');
});

test('what the README names exists', () => {
  const exported = Object.keys(require('../src/index.js'));
  for (const [, line] of README.matchAll(/^\| (`[A-Za-z].*?) \|/gm)) {
    for (const [, name] of line.matchAll(/`(\w+)[.(`]/g)) {
      if (/^[A-Z]\w+$|LogSystem$|^loadConfig$/.test(name))
        assert.ok(exported.includes(name), name);
    }
  }
  for (const name of exported.filter((each) =>
    /LogSystem$|Handler$|^tools$/.test(each),
  ))
    assert.ok(README.includes(`\`${name}`), name);
});
