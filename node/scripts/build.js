'use strict';

/**
 * `npm run build`: the exports of package.json, the ESM wrappers, the declarations.
 * With --check nothing is written: it fails when a committed file would change.
 */
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { ENTRIES } = require('./entries.js');

const ROOT = path.join(__dirname, '..');
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

/** @param {string} entry */
const exists = (entry) => fs.existsSync(path.join(ROOT, 'src', `${entry}.js`));

/**
 * What package.json says of one entry, with conditions in the order of Node and TypeScript.
 * @param {string} entry
 */
function conditions(entry) {
  return {
    import: { types: `./types/${entry}.d.mts`, default: `./src/${entry}.mjs` },
    require: { types: `./types/${entry}.d.ts`, default: `./src/${entry}.js` },
  };
}

/** @param {readonly string[]} entries */
function exportsMap(entries) {
  /** @type {Record<string, unknown>} */
  const map = { '.': conditions('index') };
  for (const entry of entries) {
    map[`./src/${entry}.js`] = conditions(entry);
    map[`./src/${entry}`] = conditions(entry);
  }
  map['./config/*.yaml'] = './config/*.yaml';
  map['./package.json'] = './package.json';
  return map;
}

/**
 * An ES module with the same names, so that both ways to import give the same objects.
 * @param {string} entry
 */
function wrapper(entry) {
  const file = `./${path.basename(entry)}.js`;
  const names = Object.keys(require(path.join(ROOT, 'src', `${entry}.js`)))
    .filter((name) => IDENTIFIER.test(name) && name !== 'default')
    .sort();
  const lines = [`export { default } from '${file}';`];
  if (names.length > 0) {
    lines.push(
      'export {',
      ...names.map((name) => `  ${name},`),
      `} from '${file}';`,
    );
  }
  return lines.join('\n') + '\n';
}

/**
 * Its declarations; those of the compiler would hold the path of this folder.
 * @param {string} entry
 */
function wrapperTypes(entry) {
  const file = `./${path.basename(entry)}.js`;
  return [
    `import module from '${file}';`,
    'export default module;',
    `export * from '${file}';`,
    '',
  ].join('\n');
}

/** The text of each generated file that is committed, by its path. */
function generated() {
  const entries = ENTRIES.filter(exists);
  const file = path.join(ROOT, 'package.json');
  const manifest = JSON.parse(fs.readFileSync(file, 'utf8'));
  manifest.exports = exportsMap(entries);
  const files = new Map([[file, JSON.stringify(manifest, null, 2) + '\n']]);
  for (const entry of entries) {
    files.set(path.join(ROOT, 'src', `${entry}.mjs`), wrapper(entry));
  }
  return files;
}

/** @param {string} file */
const textOf = (file) =>
  fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';

function main() {
  const check = process.argv.includes('--check');
  const changed = [...generated()].filter(
    ([file, text]) => textOf(file) !== text,
  );
  if (check) {
    for (const [file] of changed) {
      console.error(`${path.relative(ROOT, file)} is old: run npm run build`);
    }
    process.exitCode = changed.length > 0 ? 1 : 0;
    return;
  }
  for (const [file, text] of changed) fs.writeFileSync(file, text);
  fs.rmSync(path.join(ROOT, 'types'), { recursive: true, force: true });
  const compiler = require.resolve('typescript/bin/tsc');
  const flags = ['-p', 'tsconfig.build.json'];
  execFileSync(process.execPath, [compiler, ...flags], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  for (const entry of ENTRIES.filter(exists)) {
    const file = path.join(ROOT, 'types', `${entry}.d.mts`);
    fs.writeFileSync(file, wrapperTypes(entry));
  }
}

main();
