'use strict';

/** Of a chain of causes, and of an AggregateError's errors. */
const DEPTH = 8;
const WIDTH = 16;

/** Keys that every Error has, or that are told otherwise. */
const KNOWN = new Set(['message', 'name', 'stack', 'cause', 'errors']);

/**
 * @typedef {{
 *   message: string, name?: string, stack?: string, cause?: ErrorRecord,
 *   errors?: ErrorRecord[], [key: string]: unknown,
 * }} ErrorRecord
 */

/**
 * Whatever was thrown as plain values: an Error with its own properties (`code`, ...) and
 * its causes, anything else as text. Never throws.
 * @param {unknown} error
 * @param {number} [depth]
 * @param {Set<unknown>} [above] the errors that this one is the cause of
 * @returns {ErrorRecord}
 */
function recordOf(error, depth = DEPTH, above = new Set()) {
  if (!isError(error)) return { message: textOf(error), name: typeName(error) };
  if (depth === 0 || above.has(error)) {
    return { message: above.has(error) ? '[circular]' : '[too deep]' };
  }
  return recordOfError(error, depth, new Set(above).add(error));
}

/**
 * @param {Error} error
 * @param {number} depth
 * @param {Set<unknown>} inner
 * @returns {ErrorRecord}
 */
function recordOfError(error, depth, inner) {
  /** @type {ErrorRecord} */
  const record = {
    message: textOf(read(error, 'message')) || textOf(read(error, 'name')),
    name: textOf(read(error, 'name')),
    stack: textOf(read(error, 'stack')),
    ...ownProperties(error),
  };
  const cause = read(error, 'cause');
  if (cause !== undefined) record.cause = recordOf(cause, depth - 1, inner);
  const errors = read(error, 'errors');
  if (Array.isArray(errors)) {
    const first = errors.slice(0, WIDTH);
    record.errors = first.map((each) => recordOf(each, depth - 1, inner));
    if (errors.length > WIDTH) record.errors_omitted = errors.length - WIDTH;
  }
  return record;
}

/**
 * Errors of another realm (vm, jest) are no `instanceof Error`.
 * @param {unknown} value
 * @returns {value is Error}
 */
function isError(value) {
  if (typeof value !== 'object' || value === null) return false;
  if (value instanceof Error) return true;
  return typeof read(value, 'message') === 'string' && 'stack' in value;
}

/** @param {object} error */
function ownProperties(error) {
  const keys = Object.keys(error).filter((key) => !KNOWN.has(key));
  return Object.fromEntries(keys.map((key) => [key, read(error, key)]));
}

/**
 * A property, or what its getter threw.
 * @param {object} object
 * @param {string} key
 * @returns {unknown}
 */
function read(object, key) {
  try {
    return /** @type {Record<string, unknown>} */ (object)[key];
  } catch (error) {
    return '[unreadable]';
  }
}

/** @param {unknown} value */
function typeName(value) {
  return value === null ? 'null' : typeof value;
}

/** @param {unknown} value */
function textOf(value) {
  try {
    if (typeof value === 'object' && value !== null)
      return JSON.stringify(value) ?? String(value);
    return String(value ?? typeName(value));
  } catch (error) {
    return `[${typeName(value)}]`;
  }
}

module.exports = { recordOf };
