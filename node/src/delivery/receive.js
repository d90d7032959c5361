'use strict';

const { rankOf } = require('./levels.js');
const { Entry } = require('./receipt.js');
const { EntryProblem, encodeEntry } = require('./values.js');

const NO_JSON = 'entry: no JSON can be made of it';

/**
 * What log() was given, as what waits. Never throws.
 * @param {any} given
 * @param {string} stamp its time unless it has one
 * @param {import('./masking.js').Masking} [masking]
 * @returns {Entry} with a reason when it can't be stored
 */
function receive(given, stamp, masking) {
  try {
    const text = encodeEntry(given, stamp, masking);
    return new Entry(text, rankOf(levelOf(given)));
  } catch (error) {
    const entry = new Entry('', 0);
    entry.isWrong = true;
    const isKnown = error instanceof EntryProblem;
    entry.reason = isKnown ? error.message : NO_JSON;
    return entry;
  }
}

/**
 * @typedef {object} Posted what is to be an entry
 * @property {string} level
 * @property {() => string} fields as JSON, without the first bracket, a timestamp, or secrets
 * @property {string} [stamp] its time, given to it when it is posted
 */

/**
 * What post() was given, as what waits. Never throws.
 * @param {Posted} item
 * @returns {Entry} with a reason when no JSON can be made of it
 */
function posted(item) {
  let text = '';
  let reason = null;
  try {
    text = `{"timestamp":"${item.stamp}",${item.fields()}`;
    text.charCodeAt(0); // its pieces become one: they would take five times the memory
  } catch (error) {
    reason = NO_JSON;
  }
  const entry = new Entry(text, rankOf(item.level));
  entry.isPosted = true;
  entry.isWrong = reason !== null;
  entry.reason = reason;
  return entry;
}

/** @param {any} given */
function levelOf(given) {
  try {
    return given.level ?? given.severity;
  } catch (error) {
    return undefined;
  }
}

/** @param {any} entries */
function entriesOf(entries) {
  const isList = typeof entries?.[Symbol.iterator] === 'function';
  return isList && typeof entries !== 'string' ? entries : [entries];
}

module.exports = { entriesOf, posted, receive };
