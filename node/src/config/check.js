'use strict';

const { ConfigError } = require('../errors.js');

/**
 * What of JSON Schema config/schema.json uses; `pipeline` checks all of it once more.
 * @typedef {{
 *   type?: string, properties?: Record<string, Schema>, items?: Schema,
 *   anyOf?: Schema[], enum?: unknown[], minimum?: number, maximum?: number,
 *   pattern?: string, additionalProperties?: boolean | Schema,
 * }} Schema
 */

/** @type {Record<string, (value: any) => boolean>} */
const TYPES = {
  object: (value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value),
  array: Array.isArray,
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  integer: Number.isInteger,
  number: (value) => typeof value === 'number',
  null: (value) => value === null,
};

/** @type {Record<string, string>} */
const WORDS = {
  object: 'a section: keys below it, indented',
  array: 'a list',
  string: 'a text',
  boolean: 'true or false',
  integer: 'a whole number',
  number: 'a number',
};

/**
 * What a value should be, in words.
 * @param {Schema} schema
 * @returns {string}
 */
function expected(schema) {
  if (schema.anyOf) return schema.anyOf.map(expected).join(', or ');
  if (schema.enum) return `one of ${schema.enum.join(', ')}`;
  const word = WORDS[schema.type ?? ''] ?? 'another value';
  const { minimum, maximum, pattern } = schema;
  if (minimum !== undefined && maximum !== undefined)
    return `${word} from ${minimum} to ${maximum}`;
  if (minimum !== undefined) return `${word} of at least ${minimum}`;
  return pattern === undefined ? word : `${word} like ${pattern}`;
}

/**
 * Whether a single value fits, its keys and items aside.
 * @param {Schema} schema
 * @param {any} value
 * @returns {boolean}
 */
function fits(schema, value) {
  if (schema.anyOf) return schema.anyOf.some((each) => fits(each, value));
  if (schema.type && !TYPES[schema.type]?.(value)) return false;
  if (schema.enum && !schema.enum.includes(value)) return false;
  if (typeof value === 'number') return isWithin(schema, value);
  const { pattern } = schema;
  if (typeof value !== 'string' || pattern === undefined) return true;
  return new RegExp(pattern, 'u').test(value);
}

/**
 * @param {Schema} schema
 * @param {number} value
 */
function isWithin({ minimum = -Infinity, maximum = Infinity }, value) {
  return value >= minimum && value <= maximum;
}

/**
 * Throws ConfigError for the first value that is wrong.
 * @param {Schema} schema
 * @param {any} value
 * @param {string} path
 * @param {(path: string) => string} origin where a path stands, for the message
 */
function check(schema, value, path, origin) {
  if (!fits(schema, value)) {
    const problem = `${shown(value)} is wrong (${origin(path)})`;
    throw new ConfigError(path || 'the configuration', problem, expected(schema));
  }
  const chosen = schema.anyOf?.find((each) => fits(each, value)) ?? schema;
  if (TYPES.object(value)) checkKeys(chosen, value, path, origin);
  if (Array.isArray(value) && chosen.items) {
    const { items } = chosen;
    value.forEach((each, index) =>
      check(items, each, `${path}[${index}]`, origin),
    );
  }
}

/**
 * @param {Schema} schema
 * @param {Record<string, any>} section
 * @param {string} path
 * @param {(path: string) => string} origin
 */
function checkKeys(schema, section, path, origin) {
  const known = schema.properties ?? {};
  for (const [key, value] of Object.entries(section)) {
    const inner = path ? `${path}.${key}` : key;
    if (Object.hasOwn(known, key)) {
      const empty = value === null && known[key].type === 'object';
      if (!empty) check(known[key], value, inner, origin);
    } else if (schema.additionalProperties === false) {
      const near = nearest(key, Object.keys(known));
      const keys = near ? [near] : Object.keys(known);
      throw new ConfigError(
        inner,
        `there is no such key (${origin(inner)})`,
        keys.join(' or '),
      );
    }
  }
}

/** @param {unknown} value */
function shown(value) {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/**
 * The known name that is at most two letters off.
 * @param {string} name
 * @param {readonly string[]} known
 * @returns {string | undefined}
 */
function nearest(name, known) {
  const near = known
    .map((each) => ({ each, far: distance(name, each) }))
    .sort((one, other) => one.far - other.far)[0];
  return near !== undefined && near.far <= 2 ? near.each : undefined;
}

/**
 * Letters to change, add or drop between two short names.
 * @param {string} one
 * @param {string} other
 */
function distance(one, other) {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const change = row[j - 1] + Number(one[i - 1] !== other[j - 1]);
      next.push(Math.min(change, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[other.length];
}

module.exports = { check };
