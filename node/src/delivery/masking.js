'use strict';

const { MASK, Redactor } = require('../collectors/redact.js');

/**
 * What JSON of an entry has if one of its texts may have the form of a secret: seldom, so
 * that an entry is read again only then. Apart they are faster than as one.
 */
const TELLING = [
  'PRIVATE KEY-----|eyJ|sk-|A[KS]IA[0-9A-Z]|gh[pousr]_|github_pat_',
  'bearer(?:[\\t ]|\\\\[tnrvfu])|://[^/:@]{0,256}:',
  '(?:password|passwd|passphrase|secret|token|(?:api|access|private)[_-]?key' +
    '|authorization|cookie)(?:\\\\{0,7}["\'])?(?:[\\t ]|\\\\t){0,4}[:=]',
  '\\b[3-6](?:\\d{14}|\\d{3}[ -]\\d{4}[ -]|\\d{3}[ -]\\d{6}[ -])',
].map((source) => new RegExp(source, 'i'));

/** Fields that are no text of the program's. */
const KEPT = new Set([
  ...['source', 'level', 'severity', 'trace_id', 'traceId'],
  ...['timestamp', 'time', 'ts', '@timestamp'],
]);

/** Takes secrets out of entries before they wait, and before they are spooled. */
class Masking {
  /** @param {import('../collectors/redaction-rules.js').Rules} rules */
  constructor(rules) {
    this._rules = rules;
    this._redactor = new Redactor(rules);
    this._isTold = false;
  }

  /** Secrets that were masked. */
  get redacted() {
    return this._redactor.redacted;
  }

  /** The same by rule. */
  get redactedBy() {
    return { ...this._redactor.redactedBy };
  }

  /** An entry begins whose keys are told. */
  begin() {
    this._isTold = this._rules.hasOwn;
  }

  /**
   * It has this key.
   * @param {string} key
   */
  note(key) {
    if (!this._isTold && this._rules.hides(key) !== null) this._isTold = true;
  }

  /**
   * The entry without secrets.
   * @param {string} text of JSON
   * @param {boolean} [isOdd] whether not all keys were told
   * @returns {string}
   */
  masked(text, isOdd = false) {
    const { isOn } = this._rules;
    if (!isOn) return text;
    const isTelling = isOdd || this._isTold;
    if (!isTelling && !TELLING.some((each) => each.test(text))) return text;
    const entry = JSON.parse(text);
    for (const name of Object.keys(entry)) {
      if (!KEPT.has(name)) set(entry, name, this._value(entry[name]));
    }
    return JSON.stringify(entry);
  }

  /**
   * @param {any} value
   * @returns {any}
   */
  _value(value) {
    if (typeof value === 'string') return this._redactor.masked(value);
    if (value === null || typeof value !== 'object') return value;
    for (const key of Object.keys(value)) {
      const inner = /** @type {any} */ (value)[key];
      if (Array.isArray(value)) set(value, key, this._value(inner));
      else this._field(value, key);
    }
    return value;
  }

  /**
   * @param {any} map
   * @param {string} key
   */
  _field(map, key) {
    const rule = this._rules.hides(key);
    if (rule !== null) {
      if (map[key] === null || map[key] === MASK) return;
      this._redactor.count(rule);
      set(map, key, MASK);
    } else if (!this._rules.spares(key)) {
      set(map, key, this._value(map[key]));
    }
  }
}

/**
 * @param {any} target
 * @param {string} key
 * @param {unknown} value
 */
function set(target, key, value) {
  // plainly, `__proto__` would be no key
  Object.defineProperty(target, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

module.exports = { Masking };
