'use strict';

/**
 * Values of any kind as values that JSON can write, within a budget of bytes.
 *
 * What can't be read becomes a text that says so; nothing is thrown.
 *
 * @module
 */

/** As pipeline/limits.py has them, with room for what measures differently. */
const MESSAGE_BYTES = 1 << 20;
const KEYS_MAX = 1024;
const KEY_BYTES = 256;
const NESTING = 30;

/** Beyond it an integer needs more than 64 bits. */
const INTEGER_MAX = 9e18;
const STACK_BYTES = 16 << 10;

/**
 * What a reader would want to see of a value where text is needed.
 * @param {unknown} value
 * @returns {string}
 */
function textOf(value) {
  if (typeof value === 'string') return value;
  if (value instanceof Error) {
    const { name, message } = new Converter(MESSAGE_BYTES / 4).ofError(value);
    return `${name}: ${message}`;
  }
  const made = new Converter(MESSAGE_BYTES / 4).convert(value);
  return typeof made === 'string' ? made : JSON.stringify(made);
}

/**
 * Well-formed text of at most so many bytes as UTF-8.
 * @param {string} text
 * @param {number} bytes
 */
function cut(text, bytes) {
  // @ts-expect-error: in Node as of 20, in TypeScript's libraries as of es2024
  const whole = /** @type {string} */ (text.toWellFormed());
  if (whole.length * 3 <= bytes || Buffer.byteLength(whole) <= bytes)
    return whole;
  const marker = '...';
  const kept = Buffer.from(whole.slice(0, bytes)).subarray(0, bytes - 3);
  // a character that was cut in two is left out
  const decoder = new TextDecoder();
  return decoder.decode(kept, { stream: true }) + marker;
}

/** @param {object} value */
function keysOf(value) {
  try {
    return Object.keys(value);
  } catch (error) {
    return [];
  }
}

/**
 * @param {object} value
 * @param {string} key
 */
function valueOf(value, key) {
  try {
    return /** @type {any} */ (value)[key];
  } catch (error) {
    return unreadable(error);
  }
}

/** @param {unknown} error */
function unreadable(error) {
  try {
    return `[unreadable: ${error instanceof Error ? error.message : String(error)}]`;
  } catch (another) {
    return '[unreadable]';
  }
}

/** Makes values that JSON can write, of at most about so many bytes together. */
class Converter {
  /** @param {number} bytes */
  constructor(bytes) {
    this._left = bytes;
    /** @type {Set<object>} those around the present one */
    this._around = new Set();
  }

  /**
   * @param {unknown} value
   * @returns {unknown}
   */
  convert(value) {
    this._left -= 8;
    if (this._left <= 0) return '[left out]';
    switch (typeof value) {
      case 'string':
        return this._text(value);
      case 'number':
        return value > -INTEGER_MAX && value < INTEGER_MAX
          ? value
          : String(value);
      case 'boolean':
        return value;
      case 'object':
        return value === null ? null : this._object(value);
      case 'function':
        return this._text(`[function ${String(valueOf(value, 'name'))}]`);
      default:
        return this._text(String(value));
    }
  }

  /** @param {string} text */
  _text(text) {
    const kept = cut(text, Math.max(3, this._left));
    this._left -= Buffer.byteLength(kept);
    return kept;
  }

  /** @param {object} value */
  _object(value) {
    if (this._around.has(value)) return '[circular]';
    if (this._around.size >= NESTING) return '[nested too deep]';
    this._around.add(value);
    try {
      return this._inside(value);
    } catch (error) {
      return this._text(unreadable(error));
    } finally {
      this._around.delete(value);
    }
  }

  /** @param {object} value */
  _inside(value) {
    if (value instanceof Error) return this.ofError(value);
    if (value instanceof Date) return dateText(value);
    if (value instanceof RegExp) return this._text(String(value));
    if (ArrayBuffer.isView(value)) return this._bytes(value);
    if (value instanceof Map) return this._pairs(value);
    if (Array.isArray(value) || value instanceof Set) return this._list(value);
    return this._ofClass(value);
  }

  /** @param {object} value */
  _ofClass(value) {
    if (typeof (/** @type {any} */ (value).toJSON) === 'function') {
      const made = /** @type {any} */ (value).toJSON();
      return made === value ? '[circular]' : this.convert(made);
    }
    if (isOpaque(value)) return `[${value.constructor.name}]`;
    return this._map(keysOf(value), (key) => valueOf(value, key));
  }

  /**
   * Name, message, stack, causes, and what else it carries.
   * @param {Error} error
   * @returns {Record<string, unknown>}
   */
  ofError(error) {
    const keys = ['name', 'message', 'stack', 'code', 'cause', 'errors'];
    const own = keysOf(error).filter((key) => !keys.includes(key));
    return this._map([...keys, ...own], (key) => {
      const value = valueOf(error, key);
      return typeof value === 'string' ? cut(value, STACK_BYTES) : value;
    });
  }

  /** @param {ArrayBufferView} view */
  _bytes(view) {
    const { buffer, byteOffset, byteLength } = view;
    const most = Math.max(0, Math.min(byteLength, (this._left * 3) >> 2));
    return this._text(Buffer.from(buffer, byteOffset, most).toString('base64'));
  }

  /** @param {Map<unknown, unknown>} map */
  _pairs(map) {
    const values = new Map();
    for (const [key, value] of map) values.set(textOf(key), value);
    return this._map([...values.keys()], (key) => values.get(key));
  }

  /** @param {Iterable<unknown>} items */
  _list(items) {
    const made = [];
    for (const item of items) {
      if (this._left <= 0) {
        made.push('[more left out]');
        break;
      }
      made.push(this.convert(item === undefined ? null : item));
    }
    return made;
  }

  /**
   * @param {string[]} keys
   * @param {(key: string) => unknown} get
   */
  _map(keys, get) {
    /** @type {Record<string, unknown>} */
    const made = Object.create(null);
    let count = 0;
    for (const key of keys) {
      if (++count >= KEYS_MAX || this._left <= 0) {
        made['...'] = `${keys.length - count + 1} more left out`;
        break;
      }
      const value = get(key);
      if (value === undefined) continue;
      const name = cut(key, KEY_BYTES);
      this._left -= Buffer.byteLength(name);
      made[name] = this.convert(value);
    }
    return made;
  }
}

/** @param {Date} date */
function dateText(date) {
  return Number.isNaN(date.getTime()) ? 'Invalid Date' : date.toISOString();
}

/** @param {object} value */
function isOpaque(value) {
  return (
    value instanceof Promise ||
    value instanceof WeakMap ||
    value instanceof WeakSet ||
    value instanceof WeakRef
  );
}

module.exports = {
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
};
