'use strict';

const { isSection } = require('./merge.js');

/**
 * A configuration that a program made, as variables of the pipeline's environment:
 * `PIPELINE_SERVER__PORT` is server.port. A file would be left behind by a killed host.
 * @param {Record<string, any>} tree
 * @param {import('./check.js').Schema} schema
 * @param {string} [prefix]
 * @returns {Record<string, string>}
 */
function environmentOfTree(tree, schema, prefix = 'PIPELINE_') {
  /** @type {Record<string, string>} */
  const variables = {};
  for (const [key, value] of Object.entries(tree)) {
    if (value === null || value === undefined) continue;
    const name = `${prefix}${key.toUpperCase()}`;
    const inner = schema.properties?.[key];
    if (isSection(value) && inner?.properties)
      Object.assign(variables, environmentOfTree(value, inner, `${name}__`));
    else
      variables[name] =
        typeof value === 'object' ? JSON.stringify(value) : String(value);
  }
  return variables;
}

module.exports = { environmentOfTree };
