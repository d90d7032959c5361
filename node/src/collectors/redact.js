'use strict';

/**
 * Secrets out of what is logged: values of telling keys, and text of a telling form.
 *
 * The rules are redaction.json, which the Python side has too. What comes out are plain
 * JSON values of bounded size, whatever came in: a copy, so that the host may go on
 * changing its own. Nothing here throws.
 *
 * @module
 */

const { DEFAULT, MASK } = require('./redaction-rules.js');

/**
 * Bounds of one value. Precedents: pino's depthLimit 5 and edgeLimit 100, Sentry's
 * 8 KiB of a request's body.
 */
const MAX_DEPTH = 8;
const MAX_ITEMS = 100;
const MAX_TEXT = 4096;
const MAX_VALUE = 8192;

/** More than a secret has: what a cut leaves of one must not be recognisable. */
const SECRET_LENGTH = 1024;

/** Texts that are known to be clean, and how long they may be. */
const MAX_CLEAN = 500;
const MAX_CLEAN_TEXT = 200;

/**
 * Text of at most `size` UTF-16 units, without half a character at its end.
 * @param {string} text
 * @param {number} size
 * @returns {string}
 */
function cut(text, size) {
  if (text.length <= size) return text;
  const last = text.charCodeAt(size - 1);
  const end = last >= 0xd800 && last < 0xdc00 ? size - 1 : size;
  return `${text.slice(0, end)}... [${text.length - end} more]`;
}

/**
 * Text of at most `bytes` bytes of UTF-8, without half a character at its end.
 * @param {string} text
 * @param {number} bytes
 * @returns {string}
 */
function cutBytes(text, bytes) {
  if (Buffer.byteLength(text) <= bytes) return text;
  const raw = Buffer.from(text.slice(0, bytes));
  let end = Math.min(bytes, raw.length);
  while (end > 0 && (raw[end] & 0xc0) === 0x80) end -= 1;
  return raw.toString('utf8', 0, end);
}

/** Characters of a text that may hold a secret: `token=x`. */
const SHORTEST = 7;

/** Masks secrets, and counts them. One for each collector. */
class Redactor {
  /** @param {import('./redaction-rules.js').Rules} [rules] */
  constructor(rules = DEFAULT) {
    this.rules = rules;
    /** Secrets that were masked. */
    this.redacted = 0;
    /** The same by rule. @type {Record<string, number>} */
    this.redactedBy = {};
    /** Whether what is copied stands below a key that is left as it is. */
    this._isSpared = false;
    /** Texts and lists that were cut. */
    this.cut = 0;
    /** Short texts without secrets: paths and the like repeat. @type {Set<string>} */
    this._clean = new Set();
  }

  /**
   * Text without what has the form of a secret, cut to `size` characters.
   * @param {unknown} value
   * @param {number} [size]
   * @returns {string}
   */
  text(value, size = MAX_TEXT) {
    let text = typeof value === 'string' ? value : describe(value);
    const whole = text.length;
    if (whole > size + SECRET_LENGTH)
      text = text.slice(0, size + SECRET_LENGTH);
    const masked = this._isSpared ? text : this.masked(text);
    if (whole > size) this.cut += 1;
    if (whole > text.length && masked.length > size) {
      return `${cut(masked, size).replace(/\.\.\. \[\d+ more]$/, '')}... [${whole - size} more]`;
    }
    return cut(masked, size);
  }

  /**
   * A copy of any value as JSON knows it, without secrets, of about `size` characters.
   * @param {unknown} value
   * @param {number} [size]
   * @returns {unknown}
   */
  value(value, size = MAX_VALUE) {
    return this._copy(value, { left: size, seen: [] });
  }

  /**
   * Text without what has the form of a secret, however long.
   * @param {string} text
   * @returns {string}
   */
  masked(text) {
    if (text.length < SHORTEST || this._clean.has(text)) return text;
    const masked = this._maskUnknown(text);
    if (masked === text && text.length <= MAX_CLEAN_TEXT) {
      if (this._clean.size >= MAX_CLEAN) this._clean.clear();
      this._clean.add(text);
    }
    return masked;
  }

  /**
   * @param {string} text
   * @returns {string}
   */
  _maskUnknown(text) {
    const lower = text.toLowerCase();
    let masked = text;
    for (const pattern of this.rules.patterns) {
      if (pattern.mayBeIn(lower)) masked = pattern.masked(masked, this.count);
    }
    return masked;
  }

  /**
   * One more secret was masked.
   * @type {(rule: string, count?: number) => void}
   */
  count = (rule, count = 1) => {
    this.redacted += count;
    this.redactedBy[rule] = (this.redactedBy[rule] ?? 0) + count;
  };

  /**
   * @param {unknown} value
   * @param {{left: number, seen: unknown[]}} budget
   * @returns {unknown}
   */
  _copy(value, budget) {
    switch (typeof value) {
      case 'string': {
        const text = this.text(
          value,
          Math.min(MAX_TEXT, Math.max(0, budget.left)),
        );
        budget.left -= text.length;
        return text;
      }
      case 'number':
        budget.left -= 8;
        return Number.isFinite(value) ? value : String(value);
      case 'boolean':
        budget.left -= 4;
        return value;
      case 'undefined':
        return undefined;
      case 'object':
        return value === null ? null : this._object(value, budget);
      default:
        budget.left -= 16;
        return describe(value);
    }
  }

  /**
   * @param {object} value
   * @param {{left: number, seen: unknown[]}} budget
   * @returns {unknown}
   */
  _object(value, budget) {
    if (budget.seen.includes(value)) return '[circular]';
    if (budget.seen.length >= MAX_DEPTH) return this._tooMuch('[too deep]');
    budget.seen.push(value);
    try {
      return this._container(value, budget);
    } catch {
      return '[unreadable]'; // a getter, a proxy or a toJSON of the host's threw
    } finally {
      budget.seen.pop();
    }
  }

  /**
   * @param {object} value
   * @param {{left: number, seen: unknown[]}} budget
   * @returns {unknown}
   */
  _container(value, budget) {
    if (Array.isArray(value)) return this._list(value, budget);
    if (value instanceof Map) return this._entries(value.entries(), budget);
    if (value instanceof Set) return this._list([...value], budget);
    if (value instanceof Error)
      return this._entries(errorFields(value), budget);
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
      return `[${value.byteLength} bytes]`;
    }
    if ('toJSON' in value && typeof value.toJSON === 'function') {
      return this._copy(value.toJSON(), budget);
    }
    return this._entries(fieldsOf(value), budget);
  }

  /**
   * @param {unknown[]} items
   * @param {{left: number, seen: unknown[]}} budget
   */
  _list(items, budget) {
    const copies = [];
    for (const item of items) {
      if (copies.length >= MAX_ITEMS || budget.left <= 0) {
        copies.push(this._tooMuch(`[${items.length - copies.length} more]`));
        break;
      }
      copies.push(this._copy(item, budget) ?? null);
    }
    return copies;
  }

  /**
   * @param {Iterable<[unknown, unknown]>} fields
   * @param {{left: number, seen: unknown[]}} budget
   */
  _entries(fields, budget) {
    /** @type {Record<string, unknown>} */
    const copy = {};
    let count = 0;
    for (const [name, field] of fields) {
      if (count >= MAX_ITEMS || budget.left <= 0) {
        copy['...'] = this._tooMuch('[more]');
        break;
      }
      count += 1;
      const key = cut(typeof name === 'string' ? name : describe(name), 256);
      budget.left -= key.length;
      const kept = this._field(key, field, budget);
      // as a literal, `__proto__` would not become a key
      Object.defineProperty(copy, key, {
        value: kept,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
    return copy;
  }

  /**
   * @param {string} key
   * @param {unknown} field
   * @param {{left: number, seen: unknown[]}} budget
   */
  _field(key, field, budget) {
    const rule = this._isSpared ? null : this.rules.hides(key);
    if (rule !== null && field !== null && field !== undefined) {
      if (field !== MASK) this.count(rule);
      return MASK;
    }
    const before = this._isSpared;
    this._isSpared ||= this.rules.spares(key);
    const copy = this._copy(field, budget);
    this._isSpared = before;
    return copy;
  }

  /**
   * @param {string} mark
   */
  _tooMuch(mark) {
    this.cut += 1;
    return mark;
  }
}

/**
 * Own fields one by one: one getter that throws costs only itself.
 * @param {object} value
 * @returns {Iterable<[string, unknown]>}
 */
function* fieldsOf(value) {
  for (const key of Object.keys(value)) {
    let field;
    try {
      field = /** @type {Record<string, unknown>} */ (value)[key];
    } catch {
      field = '[unreadable]';
    }
    yield [key, field];
  }
}

/**
 * What an error says of itself, with the code that systems give.
 * @param {Error} error
 * @returns {Array<[string, unknown]>}
 */
function errorFields(error) {
  const { code, cause } = /** @type {Error & {code?: unknown}} */ (error);
  /** @type {Array<[string, unknown]>} */
  const fields = [
    ['type', error.name],
    ['message', error.message],
  ];
  if (code !== undefined) fields.push(['code', code]);
  if (error.stack) fields.push(['stack', error.stack]);
  if (cause !== undefined) fields.push(['cause', cause]);
  return fields;
}

/**
 * A word for a value that JSON lacks, or text of any other.
 * @param {unknown} value
 * @returns {string}
 */
function describe(value) {
  try {
    if (typeof value === 'function') return `[function ${value.name}]`;
    if (value instanceof Error) return `${value.name}: ${value.message}`;
    if (typeof value === 'object' && value !== null) {
      return JSON.stringify(value) ?? '[unreadable]';
    }
    return String(value);
  } catch {
    return '[unreadable]';
  }
}

module.exports = { MASK, Redactor, cut, cutBytes, describe };
