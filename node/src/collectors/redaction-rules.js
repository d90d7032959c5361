'use strict';

/**
 * Which keys tell of secrets, and which forms: the table's, and those of the settings.
 *
 * As pipeline/redaction has it; a test holds the two equal.
 *
 * @module
 */

const { readExpression } = require('./expression.js');
const table = require('./redaction.json');

/** What stands in place of a secret. */
const MASK = table.mask;

const MAX_JUDGED = 2000;
const KEY_LENGTH = 256;

/**
 * The section `redaction` of the configuration.
 * @typedef {object} RedactionSettings
 * @property {boolean} [enabled]
 * @property {string[]} [fields]
 * @property {Array<{name: string, expression: string}>} [patterns]
 * @property {string[]} [except_fields]
 * @property {string[]} [except_rules]
 */

/**
 * Whether digits are a card's number: the last is Luhn's sum of the others.
 * @param {string} text
 * @returns {boolean}
 */
function isCardNumber(text) {
  const digits = text.replace(/[ -]/g, '');
  let sum = 0;
  for (let i = 0; i < digits.length; i += 1) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    if (i % 2 === 0) sum += digit;
    else sum += digit > 4 ? digit * 2 - 9 : digit * 2;
  }
  return sum % 10 === 0;
}

/** One form that secrets have in texts, and what takes its place. */
class Pattern {
  /**
   * @param {string} name
   * @param {RegExp} expression
   * @param {{hints?: string[], keeps?: boolean, isCard?: boolean}} about
   */
  constructor(name, expression, { hints = [], keeps = false, isCard = false }) {
    this.name = name;
    this._expression = expression;
    this._hints = hints;
    this._replacement = keeps ? `$1${MASK}` : MASK;
    this._isCard = isCard;
  }

  /**
   * Whether a text, in lower case, is worth a look.
   * @param {string} lower
   */
  mayBeIn(lower) {
    const hints = this._hints;
    return hints.length === 0 || hints.some((hint) => lower.includes(hint));
  }

  /**
   * @param {string} text
   * @param {(rule: string, count?: number) => void} count
   * @returns {string}
   */
  masked(text, count) {
    if (this._isCard) {
      return text.replace(this._expression, (digits) => {
        if (!isCardNumber(digits)) return digits;
        count(this.name);
        return MASK;
      });
    }
    const found = text.match(this._expression);
    if (found === null) return text;
    count(this.name, found.length);
    return text.replace(this._expression, this._replacement);
  }
}

/** Names of keys: whole ones, and endings behind an asterisk. */
class Names {
  /**
   * @param {string[]} whole
   * @param {string[]} endings
   */
  constructor(whole, endings) {
    this._whole = new Set(whole);
    this._endings = endings;
  }

  /**
   * From the settings.
   * @param {string[]} given
   */
  static of(given) {
    const endings = given.filter((name) => name.startsWith('*'));
    const whole = given.filter((name) => !name.startsWith('*'));
    return new Names(
      whole.map(plain),
      endings.map((name) => plain(name.slice(1))).filter(Boolean),
    );
  }

  /**
   * The name that a key has.
   * @param {string} key
   * @returns {string | null}
   */
  match(key) {
    for (const part of [key, key.slice(key.lastIndexOf('.') + 1)]) {
      const name = plain(part);
      if (this._whole.has(name)) return name;
      const ending = this._endings.find((each) => name.endsWith(each));
      if (ending !== undefined) return ending;
    }
    return null;
  }
}

/** @param {string} name */
const plain = (name) => name.toLowerCase().replace(/[-_. \t]/g, '');

/** What is masked; several redactors may have the same. */
class Rules {
  /**
   * @param {RedactionSettings} [settings]
   * @throws {import('../errors.js').ConfigError}
   */
  constructor(settings = {}) {
    const isOn = settings.enabled !== false;
    const excepted = new Set(settings.except_rules ?? []);
    const own = (settings.patterns ?? []).map(ownPattern);
    /** Whether an expression of the settings has to be tried on each text. */
    this.hasOwn = own.length > 0;
    this.isOn = isOn;
    this.patterns = isOn
      ? [...BUILT_IN.filter(({ name }) => !excepted.has(name)), ...own]
      : [];
    this._hidden = isOn
      ? [
          Names.of(settings.fields ?? []),
          new Names(table.keys, table.key_endings),
        ]
      : [];
    this._spared = Names.of(settings.except_fields ?? []);
    /** Keys repeat. @type {Map<string, {hidden: string | null, spared: boolean}>} */
    this._judged = new Map();
  }

  /**
   * The name by which a key's value is a secret; null if it is none.
   * @param {string} key
   */
  hides(key) {
    return (this._judged.get(key) ?? this._judge(key)).hidden;
  }

  /**
   * Whether a key's value is left as it is.
   * @param {string} key
   */
  spares(key) {
    return (this._judged.get(key) ?? this._judge(key)).spared;
  }

  /** @param {string} key */
  _judge(key) {
    const name = key.slice(0, KEY_LENGTH);
    const spared = this._spared.match(name) !== null;
    let hidden = null;
    for (const names of spared ? [] : this._hidden)
      hidden ??= names.match(name);
    if (this._judged.size >= MAX_JUDGED) this._judged.clear();
    const verdict = { hidden, spared };
    this._judged.set(key, verdict);
    return verdict;
  }
}

/**
 * @param {{name: string, expression: string}} given
 * @param {number} number
 */
function ownPattern({ name, expression }, number) {
  const read = readExpression(
    expression,
    `redaction.patterns[${number}].expression`,
  );
  return new Pattern(name, read.expression, { keeps: read.keeps });
}

const BUILT_IN = table.patterns.map(
  (given) =>
    new Pattern(
      given.name,
      new RegExp(given.expression, given.ignore_case ? 'gi' : 'g'),
      {
        hints: given.hints,
        keeps: Boolean(given.keep),
        isCard: given.check === 'luhn',
      },
    ),
);

/** Those of the table. */
const DEFAULT = new Rules();

/**
 * The rules of the section `redaction`; those of the table without one.
 * @param {RedactionSettings | undefined} settings
 * @returns {Rules}
 * @throws {import('../errors.js').ConfigError}
 */
function rulesOf(settings) {
  if (settings === undefined || settings === null) return DEFAULT;
  const isUsual =
    settings.enabled !== false &&
    [
      settings.fields,
      settings.patterns,
      settings.except_fields,
      settings.except_rules,
    ].every((list) => list === undefined || list.length === 0);
  return isUsual ? DEFAULT : new Rules(settings);
}

module.exports = { DEFAULT, MASK, Rules, rulesOf };
