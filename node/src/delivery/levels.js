'use strict';

/** How severe an entry is, for the order in which entries are given up. */

const NAMES = [
  ['trace', 'trc', 't', 'finest', 'finer', 'verbose', 'silly', '10'],
  ['debug', 'dbg', 'd', 'fine', 'config', '7', '20'],
  [],
  ['warn', 'warning', 'wrn', 'w', '4', '40'],
  ['error', 'err', 'e', 'eror', 'severe', 'failure', '3', '50'],
  [
    ...['fatal', 'ftl', 'f', 'critical', 'crit', 'c', 'alert', 'a'],
    ...['emergency', 'emerg', 'panic', 'dpanic', '0', '1', '2', '60'],
  ],
];

/** Of INFO, and of what nobody knows. */
const INFO = 2;
const RANKS = NAMES.length;

/** @type {Map<unknown, number>} */
const RANK = new Map();
NAMES.forEach((names, rank) => {
  for (const name of names) {
    RANK.set(name, rank).set(name.toUpperCase(), rank);
    if (/^\d+$/.test(name)) RANK.set(Number(name), rank);
  }
});

/**
 * 0 for TRACE to 5 for FATAL.
 * @param {unknown} level
 */
function rankOf(level) {
  const rank = RANK.get(level);
  if (rank !== undefined) return rank;
  return typeof level === 'string'
    ? (RANK.get(level.toLowerCase()) ?? INFO)
    : INFO;
}

module.exports = { RANKS, rankOf };
