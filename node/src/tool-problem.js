'use strict';

/**
 * An error of a call as its reader needs it: one line that says what to do. The reader is
 * a program that can ask again in another way.
 */
const INVALID_PARAMS = -32602;
const METHOD_NOT_FOUND = -32601;
const TOO_COSTLY = -32002;

const UNANSWERED = 'RPC Call Failed: ';
const NARROWER = 'ask for a shorter time, for fewer sources or for rarer words';
const RESTARTING =
  'The log pipeline is being started again: call again in some seconds.';
const OLD =
  'The gateway is of another version and has no such tool: update it and restart the pipeline.';

/** @typedef {Record<string, any>} ErrorData */

/**
 * What is said of an error by its code.
 * @type {Record<string, (problem: string, data: ErrorData) => string>}
 */
const SAID = {
  [INVALID_PARAMS]: refused,
  [TOO_COSTLY]: (problem, { hint }) => `${problem}: ${hint ?? NARROWER}.`,
  [METHOD_NOT_FOUND]: () => OLD,
  LOG_SYSTEM_NOT_READY: () => RESTARTING,
};

/**
 * @param {any} error of JSONRPCClient, or any other
 * @returns {string}
 */
function problemOf(error) {
  const message = String(error?.message ?? error);
  if (message.startsWith(UNANSWERED)) {
    return away(message.slice(UNANSWERED.length));
  }
  const data = error?.data ?? {};
  const say = SAID[error?.code] ?? hinted;
  return say(String(data.problem ?? message), data);
}

/** @param {string} why */
function away(why) {
  return (
    `The log pipeline does not answer (${why}): start it with \`pipeline up\`,` +
    ' then call again. Nothing has to be restarted here.'
  );
}

/**
 * @param {string} problem
 * @param {ErrorData} data
 */
function hinted(problem, { hint }) {
  return hint ? `${problem} (${hint})` : problem;
}

/**
 * A wrong parameter: its name, what is wrong, and what would be right.
 * @param {string} problem
 * @param {ErrorData} data
 */
function refused(problem, { field, position, expected, nearest, hint }) {
  const at = position == null ? '' : ` at character ${position}`;
  const parts = [`${field ? `${field}: ` : ''}${problem}${at}`];
  if (expected) parts.push(`expected ${expected}`);
  if (nearest) parts.push(`did you mean ${nearest}?`);
  if (hint) parts.push(hint);
  return parts.join('; ');
}

module.exports = { INVALID_PARAMS, problemOf };
