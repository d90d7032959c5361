'use strict';

const path = require('node:path');

const { check } = require('./check.js');
const { merge } = require('./merge.js');
const { lineOf, readYaml } = require('./yaml-file.js');

const FOLDER = path.join(__dirname, '..', '..', 'config');

/**
 * The configuration of the pipeline and of the collectors, as config/schema.json has it.
 * @typedef {import('./merge.js').Tree & {
 *   project_name: string,
 *   project_type: string,
 *   server: {host: string, port: number, auto_start: boolean},
 *   collectors: Record<string, Record<string, any>>,
 * }} Config
 */

/** @type {WeakMap<object, string>} */
const files = new WeakMap();

/**
 * The defaults, then recursive.yaml, then the file at `file`.
 * Throws ConfigError with the file, the line and what would be right.
 * @param {string} [file]
 * @returns {Config}
 */
function loadConfig(file) {
  const documents = ['default.yaml', 'recursive.yaml'].map((name) =>
    readYaml(path.join(FOLDER, name)),
  );
  if (file !== undefined) {
    documents.push(checked(readYaml(path.resolve(file))));
  }
  const trees = documents.map((document) => document.tree);
  const config = /** @type {Config} */ (trees.reduce(merge));
  if (file !== undefined) files.set(config, path.resolve(file));
  return config;
}

/** @param {import('./yaml-file.js').Document} document */
function checked(document) {
  const { file, tree, text } = document;
  check(schema(), tree, '', (key) => `${file} line ${lineOf(text, key)}`);
  return document;
}

/**
 * Check a tree that a program made.
 * @param {Record<string, any>} tree
 */
function checkTree(tree) {
  check(schema(), tree, '', () => 'config');
}

/** @returns {import('./check.js').Schema} */
const schema = () => require('../../config/schema.json');

/**
 * The file that a configuration was read from.
 * @param {object} config
 * @returns {string | undefined}
 */
const fileOf = (config) => files.get(config);

module.exports = { checkTree, fileOf, loadConfig, schema };
