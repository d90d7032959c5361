'use strict';

const fs = require('node:fs');

const yaml = require('js-yaml');

const { ConfigError } = require('../errors.js');
const { isSection } = require('./merge.js');

/** @typedef {{file: string, tree: Record<string, any>, text: string}} Document */

/**
 * The sections of a YAML file; throws ConfigError with the file and line.
 * @param {string} file
 * @returns {Document}
 */
function readYaml(file) {
  const text = readText(file);
  let tree;
  try {
    tree = yaml.load(text, { filename: file });
  } catch (error) {
    if (!(error instanceof yaml.YAMLException)) throw error;
    const line = error.mark ? ` line ${error.mark.line + 1}` : '';
    throw new ConfigError(`${file}${line}`, error.reason, 'valid YAML');
  }
  if (tree === undefined || tree === null) return { file, tree: {}, text };
  if (!isSection(tree)) {
    throw new ConfigError(file, 'holds no keys', 'sections such as server:');
  }
  return { file, tree, text };
}

/** @param {string} file */
function readText(file) {
  let bytes;
  try {
    bytes = fs.readFileSync(file);
  } catch (error) {
    const code = /** @type {NodeJS.ErrnoException} */ (error).code;
    throw new ConfigError(file, `can't be read (${code})`, 'a YAML file');
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new ConfigError(file, 'is not UTF-8', 'UTF-8 text');
  }
}

/**
 * The line of a key such as `server.port`, or of the nearest section around it.
 * It follows the indentation of block style, in which configurations are written.
 * @param {string} text
 * @param {string} path
 * @returns {number} from 1
 */
function lineOf(text, path) {
  const wanted = path.replace(/\[.*/, '').split('.');
  let found = 1;
  let depth = 0;
  let indent = -1;
  for (const [index, line] of text.split('\n').entries()) {
    const match = /^(\s*)["']?([^\s"':#]+)["']?\s*:/.exec(line);
    if (match === null) continue;
    if (match[1].length <= indent) break;
    if (match[2] !== wanted[depth]) continue;
    found = index + 1;
    indent = match[1].length;
    depth += 1;
    if (depth === wanted.length) break;
  }
  return found;
}

module.exports = { lineOf, readYaml };
