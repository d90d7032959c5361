'use strict';

/**
 * Expressions of the settings: what of the syntax is safe, and means one thing only.
 *
 * As pipeline/redaction/expression.py has it, which explains the rules.
 *
 * @module
 */

const { ConfigError } = require('../errors.js');

const LONGEST = 500;
const MOST_WAYS = 500;

const ESCAPED = '^$\\.*+?()[]{}|/';
const KINDS = 'dDwWsSbBtnrfv';
const KINDS_IN_CLASS = 'dwstnrfv-';

/** As re.ASCII and the dot of Python have them; inside of a class without brackets. */
const WRITTEN_OUT = { s: '\\t-\\r ', S: '\\t-\\r ', '.': '\\n' };

/**
 * @typedef {{ways: number, least: number, isEndless: boolean}} Read
 */

/**
 * @param {string} signs
 * @param {string} sign '' at the end
 */
const isOneOf = (signs, sign) => sign !== '' && signs.includes(sign);

/** Goes through an expression once, and writes it for JavaScript. */
class Reader {
  /** @param {string} text */
  constructor(text) {
    this.at = 0;
    this.keeps = false;
    this.written = '';
    this._text = text;
    this._depth = 0;
  }

  /** @returns {Read} */
  alternatives() {
    const found = this._sequence();
    while (this._next() === '|') {
      this._take(1);
      const other = this._sequence();
      found.ways = Math.min(found.ways + other.ways, MOST_WAYS + 1);
      found.least = Math.min(found.least, other.least);
      found.isEndless ||= other.isEndless;
    }
    return found;
  }

  /** @param {string} problem */
  wrong(problem) {
    return new Error(`${problem} (character ${this.at + 1})`);
  }

  _next() {
    return this._text.charAt(this.at);
  }

  /** @param {number} count */
  _take(count) {
    this.written += this._text.slice(this.at, this.at + count);
    this.at += count;
  }

  /** @returns {Read} */
  _sequence() {
    const found = { ways: 1, least: 0, isEndless: false };
    while (!['', '|', ')'].includes(this._next())) {
      if (found.isEndless)
        throw this.wrong('something follows a repeat without end');
      const atom = this._repeated(this._atom());
      found.ways = Math.min(found.ways * atom.ways, MOST_WAYS + 1);
      found.least += atom.least;
      found.isEndless = atom.isEndless;
    }
    return found;
  }

  /** @returns {Read} */
  _atom() {
    const sign = this._next();
    if (sign === '(') return this._group();
    if (sign === '[') this._class();
    else if ('*+?{}]'.includes(sign)) throw this.wrong(`${sign} stands alone`);
    else if (sign === '$') throw this.wrong('$ differs between languages');
    else if (sign === '\\') return this._kind();
    else if (sign === '.') this._write(`[^${WRITTEN_OUT['.']}]`, 1);
    else
      this._take(
        /** @type {number} */ (this._text.codePointAt(this.at)) > 0xffff
          ? 2
          : 1,
      );
    return { ways: 1, least: sign === '^' ? 0 : 1, isEndless: false };
  }

  /** @returns {Read} */
  _kind() {
    const kind = this._escape(KINDS);
    if (kind === 's') this._write(`[${WRITTEN_OUT.s}]`, 2);
    else if (kind === 'S') this._write(`[^${WRITTEN_OUT.S}]`, 2);
    else this._take(2);
    return { ways: 1, least: 'bB'.includes(kind) ? 0 : 1, isEndless: false };
  }

  /**
   * @param {string} text
   * @param {number} instead
   */
  _write(text, instead) {
    this.written += text;
    this.at += instead;
  }

  /** @returns {Read} */
  _group() {
    this._open();
    const found = this.alternatives();
    if (this._next() !== ')') throw this.wrong('a bracket is not closed');
    this._take(1);
    this._depth -= 1;
    if (found.isEndless && this._next() !== '')
      throw this.wrong('something follows a repeat without end');
    return found;
  }

  _open() {
    const isKept = !this._text.startsWith('(?', this.at);
    if (isKept && this.at > 0)
      throw this.wrong('a group that is kept stands first, and once');
    if (!isKept && !this._text.startsWith('(?:', this.at))
      throw this.wrong('no look-arounds, names or flags');
    this.keeps ||= isKept;
    this._depth += 1;
    if (this._depth > 10) throw this.wrong('nested too deep');
    this._take(isKept ? 1 : 3);
  }

  /**
   * @param {Read} atom
   * @returns {Read}
   */
  _repeated(atom) {
    if (!isOneOf('?*+{', this._next())) return atom;
    const { least, most } = this._counts();
    if (atom.isEndless || (most === null && atom.ways > 1))
      throw this.wrong('a repeat within a repeat without end');
    if (isOneOf('?*+{', this._next())) throw this.wrong('a repeat of a repeat');
    const whole = least * atom.least;
    if (most === null) return { ways: 1, least: whole, isEndless: true };
    let ways = 0;
    for (let count = least; count <= most && ways <= MOST_WAYS; count += 1)
      ways += atom.ways ** Math.min(count, 10);
    return {
      ways: Math.min(ways, MOST_WAYS + 1),
      least: whole,
      isEndless: false,
    };
  }

  /** @returns {{least: number, most: number | null}} */
  _counts() {
    const sign = this._next();
    if (sign === '{') return this._braces();
    this._take(1);
    if (sign === '?') return { least: 0, most: 1 };
    return { least: sign === '+' ? 1 : 0, most: null };
  }

  _braces() {
    const found = /^\{(\d{1,4})(?:(,)(\d{0,4}))?\}/.exec(
      this._text.slice(this.at),
    );
    if (found === null) throw this.wrong('no repeat');
    const [whole, first, comma, last] = found;
    const least = Number(first);
    const most =
      comma === undefined ? least : last === '' ? null : Number(last);
    if (most !== null && most < least)
      throw this.wrong('the most is less than the least');
    this._take(whole.length);
    return { least, most };
  }

  /** @param {string} kinds */
  _escape(kinds) {
    const sign = this._text.charAt(this.at + 1);
    if (sign === '' || !(kinds + ESCAPED).includes(sign))
      throw this.wrong(`\\${sign} is not known here`);
    return sign;
  }

  _class() {
    this._take(1);
    if (this._next() === '^') this._take(1);
    const begin = this.at;
    while (this._next() !== ']' || this.at === begin) this._member(begin);
    this._take(1);
  }

  /** @param {number} begin of the class */
  _member(begin) {
    const sign = this._next();
    if (sign === '' || sign === '[' || (sign === ']' && this.at === begin))
      throw this.wrong('no class');
    if ('-&|~'.includes(sign) && this._text[this.at + 1] === sign)
      throw this.wrong(`${sign}${sign} in a class`);
    if (sign !== '\\') this._take(1);
    else if (this._escape(KINDS_IN_CLASS) === 's')
      this._write(WRITTEN_OUT.s, 2);
    else this._take(2);
  }
}

/**
 * The expression of the settings, and whether it has a group whose text stays.
 * @param {string} text
 * @param {string} at its key
 * @returns {{expression: RegExp, keeps: boolean}}
 * @throws {ConfigError}
 */
function readExpression(text, at) {
  try {
    if (text.length > LONGEST) throw new Error(`${text.length} characters`);
    const reader = new Reader(text);
    const found = reader.alternatives();
    if (reader.at < text.length)
      throw reader.wrong('nothing opens this bracket');
    if (found.least < 1) throw new Error('it matches the empty text');
    if (found.ways > MOST_WAYS)
      throw new Error(
        `a text can be read in ${found.ways} ways or more from one place`,
      );
    return {
      expression: new RegExp(reader.written, 'gu'),
      keeps: reader.keeps,
    };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new ConfigError(at, problem, 'what REDACTION.md says');
  }
}

module.exports = { readExpression };
