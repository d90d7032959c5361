'use strict';

/**
 * SQL as it may be logged: what is asked, without the values.
 *
 * @module
 */

/** What is read of a statement, and what is kept of it. */
const MAX_READ = 16 * 1024;
const MAX_KEPT = 2048;

/** Statements repeat: most are answered from here. @type {Map<string, Statement>} */
const known = new Map();
const MAX_KNOWN = 500;

/**
 * Pieces that change: comments, texts (three ways to quote one), numbers and blanks.
 * Quoted names and `$1` come first, so that they stay.
 */
const PIECES =
  /("[^"]*"|\$\d+)|(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|([eE]'(?:\\[\s\S]|''|[^'\\])*(?:'|$)|'(?:''|[^'])*(?:'|$)|\$(\w*)\$[\s\S]*?(?:\$\4\$|$)|\b\d+(?:\.\d+)?(?:e[+-]?\d+)?\b)|\s+/g;

const LISTS = /\(\s*(?:\?|\$\d+)(?:\s*,\s*(?:\?|\$\d+))+\s*\)/g;
const TABLE =
  /\b(?:from|into|update|table|join)\s+(?:only\s+)?("[^"]+"|[\w.]+)/i;

/**
 * @typedef {object} Statement
 * @property {string} text
 * @property {string} operation its first word, in capitals
 * @property {string | undefined} table the first that it names
 */

/**
 * @param {string} sql
 * @returns {Statement}
 */
function statementOf(sql) {
  const found = known.get(sql);
  if (found !== undefined) return found;
  const text = sql
    .slice(0, MAX_READ)
    .replace(PIECES, (_piece, name, comment, value) => {
      if (name !== undefined) return name;
      return value === undefined || comment !== undefined ? ' ' : '?';
    })
    .replace(LISTS, '(...)')
    .replace(/ {2,}/g, ' ')
    .trim();
  const statement = {
    text: text.length > MAX_KEPT ? `${text.slice(0, MAX_KEPT)}...` : text,
    operation: (/^\w+/.exec(text)?.[0] ?? 'query').toUpperCase(),
    table: TABLE.exec(text)?.[1].replaceAll('"', ''),
  };
  if (known.size >= MAX_KNOWN) known.clear();
  if (sql.length <= MAX_READ) known.set(sql, statement);
  return statement;
}

module.exports = { statementOf };
