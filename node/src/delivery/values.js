'use strict';

/**
 * Any value as JSON that the gateway takes, whatever a program hands to log().
 *
 * What JSON can write as it is passes at once. Everything else is converted value by value
 * within a budget: what can't be read becomes a text that says so, and nothing is thrown.
 *
 * @module
 */

const {
  Converter,
  INTEGER_MAX,
  KEYS_MAX,
  KEY_BYTES,
  MESSAGE_BYTES,
  NESTING,
  cut,
  keysOf,
  textOf,
  valueOf,
} = require('./converter.js');

/** As pipeline/limits.py has them, with room for what measures differently. */
const METADATA_BYTES = 200 << 10;
const TAGS = 64;
const NAME_BYTES = 256;

/** Values looked at before an entry is converted within the budget instead. */
const VALUES_MAX = 5_000;
/** Of an entry's JSON: below this no limit of its parts can be passed but those that are looked at. */
const SMALL_BYTES = 60 << 10;

const TIMES = ['timestamp', 'time', 'ts', '@timestamp'];

/** An entry that can't be made right; its message is the reason. */
class EntryProblem extends Error {}

/**
 * An entry as JSON text, with `stamp` as its timestamp unless it has one.
 * @param {unknown} entry
 * @param {string} stamp
 * @param {import('./masking.js').Masking} [masking] takes its secrets out
 * @returns {string}
 * @throws {EntryProblem}
 */
function encodeEntry(entry, stamp, masking) {
  if (entry === null || typeof entry !== 'object' || Array.isArray(entry)) {
    const kind = entry === null ? 'null' : typeof entry;
    throw new EntryProblem(
      `entry: ${Array.isArray(entry) ? 'a list' : kind}; expected a map with source and message`,
    );
  }
  if (masking === undefined) {
    return maybeAsItIs(entry, stamp) ?? JSON.stringify(converted(entry, stamp));
  }
  masking.begin();
  const text = maybeAsItIs(entry, stamp, (key) => masking.note(key));
  if (text !== null) return masking.masked(text);
  return masking.masked(JSON.stringify(converted(entry, stamp)), true);
}

/**
 * The JSON of an entry that needs no conversion; null for one that does.
 * @param {object} entry
 * @param {string} stamp
 * @param {(key: string) => void} [note] is told each key
 */
function maybeAsItIs(entry, stamp, note) {
  try {
    if (!isUsual(entry) || !isPlain(entry, note)) return null;
    const text = JSON.stringify(entry);
    // a lone surrogate is written so
    if (text.length > SMALL_BYTES || text.includes('\\ud')) return null;
    // its fields may be hidden from JSON
    if (text === '{}') return null;
    if (hasTime(entry)) return text;
    // they would stand beside the one that is added
    if (TIMES.some((name) => /** @type {any} */ (entry)[name] === null)) {
      return null;
    }
    return `{"timestamp":"${stamp}",${text.slice(1)}`;
  } catch (error) {
    return null;
  }
}

/** @param {any} entry */
function isUsual({ source, message, metadata, tags, trace_id: trace, level }) {
  if (!isText(source) || !isText(message)) return false;
  if (trace != null && !isText(trace)) return false;
  if (tags != null && !isTexts(tags)) return false;
  return typeof level !== 'object' && (metadata == null || isMap(metadata));
}

/** @param {unknown} value */
function isTexts(value) {
  return Array.isArray(value) && value.every(isText);
}

/** @param {unknown} value */
function isText(value) {
  return typeof value === 'string';
}

/** @param {any} entry */
function hasTime(entry) {
  return TIMES.some((name) => entry[name] != null);
}

/** @param {object} value */
function isMap(value) {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * @param {object} root
 * @param {(key: string) => void} [note]
 */
function isPlain(root, note) {
  let left = VALUES_MAX;
  /**
   * @param {unknown} value
   * @param {number} depth
   * @returns {boolean}
   */
  const look = (value, depth) => {
    if (--left < 0) return false;
    switch (typeof value) {
      case 'string':
      case 'boolean':
      case 'undefined':
        return true;
      case 'number':
        return value > -INTEGER_MAX && value < INTEGER_MAX;
      case 'object':
        return value === null || lookInside(value, depth);
      default:
        return false;
    }
  };
  /**
   * @param {object} value
   * @param {number} depth
   */
  const lookInside = (value, depth) => {
    if (depth > NESTING) return false;
    if (Array.isArray(value)) {
      return value.every((item) => look(item, depth + 1));
    }
    if (!isMap(value) || 'toJSON' in value) return false;
    const map = /** @type {Record<string, unknown>} */ (value);
    let keys = 0;
    for (const key in map) {
      if (++keys > KEYS_MAX || key.length > KEY_BYTES / 4) return false;
      note?.(key);
      if (!look(map[key], depth + 1)) return false;
    }
    return true;
  };
  return lookInside(root, 0);
}

/**
 * An entry whose values JSON can write, within the limits of the gateway.
 * @param {object} entry
 * @param {string} stamp
 */
function converted(entry, stamp) {
  /** @type {Record<string, unknown>} */
  const made = Object.create(null);
  for (const key of keysOf(entry)) {
    const value = valueOf(entry, key);
    if (value != null) made[cut(key, NAME_BYTES)] = field(key, value);
  }
  if (!hasTime(made)) made.timestamp = stamp;
  return made;
}

/**
 * @param {string} key
 * @param {unknown} value
 */
function field(key, value) {
  if (key === 'metadata') return metadataOf(value);
  if (key === 'tags') return tagsOf(value);
  if (TIMES.includes(key)) return maybeTime(value);
  if (key === 'level' && typeof value === 'number') return value;
  return cut(textOf(value), MESSAGE_BYTES);
}

/**
 * What may be a time; with anything else the entry has that of the call.
 * @param {unknown} value
 */
function maybeTime(value) {
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? undefined : value.toISOString();
  }
  if (typeof value === 'bigint') return String(value);
  const isNumber = typeof value === 'number' && Number.isFinite(value);
  return isNumber || isText(value) ? value : undefined;
}

/** @param {unknown} value */
function metadataOf(value) {
  const made = new Converter(METADATA_BYTES).convert(value);
  const isObject = typeof made === 'object' && !Array.isArray(made);
  return isObject ? made : { value: made };
}

/** @param {unknown} value */
function tagsOf(value) {
  const list = Array.isArray(value)
    ? value
    : value instanceof Set
      ? [...value]
      : [value];
  return list.slice(0, TAGS).map((tag) => cut(textOf(tag), NAME_BYTES));
}

module.exports = { EntryProblem, encodeEntry };
