'use strict';

/**
 * The modules that programs may import, below src/ and without extension.
 * `npm run build` makes the exports of package.json and the ESM wrappers of them.
 */
const ENTRIES = Object.freeze([
  'index',
  'log-system-bridge',
  'mcp-tools',
  'utils/json-rpc-client',
  'collectors/recursive-collectors',
  'collectors/mcp-collector',
  'collectors/websocket-collector',
  'collectors/ai-analysis-collector',
  'collectors/http-collector',
  'collectors/database-collector',
  'collectors/console-collector',
  'collectors/logger-collector',
  'collectors/trace',
  'collectors/trace-sending',
  'transports/pino',
  'transports/winston',
]);

module.exports = { ENTRIES };
