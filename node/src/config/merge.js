'use strict';

/** @typedef {Record<string, any>} Tree */

/**
 * @param {unknown} value
 * @returns {value is Tree}
 */
const isSection = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * A new tree: sections are merged key by key, all else is replaced by the later one.
 * A section left empty (null) changes nothing, as in the pipeline's own reading.
 * @param {Tree} base
 * @param {Tree} over
 * @returns {Tree}
 */
function merge(base, over) {
  /** @type {Tree} */
  const merged = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (key === '__proto__' || value === undefined) continue;
    const before = merged[key];
    if (isSection(before) && value === null) continue;
    merged[key] =
      isSection(before) && isSection(value) ? merge(before, value) : value;
  }
  return merged;
}

module.exports = { isSection, merge };
