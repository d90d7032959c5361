'use strict';

/**
 * The tools that language models read logs with, for an MCP server of one's own.
 * Their definitions are the pipeline's (tools.json is generated), and so is what they do:
 * each handler is one call of the method with the tool's name.
 *
 * @module
 */

const { INVALID_PARAMS, problemOf } = require('./tool-problem.js');

const definitions = /** @type {ToolDefinition[]} */ (
  /** @type {unknown} */ (require('./tools.json'))
);

/**
 * @typedef {object} ToolDefinition
 * @property {string} name
 * @property {string} description
 * @property {{ type: 'object', properties: Record<string, object>, required?: string[] }} inputSchema
 * @property {{ readOnlyHint: boolean }} annotations
 */

/**
 * @typedef {object} ToolCaller what a tool asks; a LogSystemBridge is one
 * @property {(method: string, params: Record<string, unknown>, options?: CallOptions) => Promise<any>} call
 */

/** @typedef {ToolCaller & { isReady: boolean, start: () => Promise<unknown> }} StartableCaller */

/** @typedef {{ signal?: AbortSignal }} CallOptions */

/**
 * @typedef {object} ToolHandling
 * @property {(params: Record<string, unknown> | null | undefined, logSystem: ToolCaller, options?: CallOptions) => Promise<Record<string, unknown>>} handler
 *   the reply; an error says what to change
 */

/** @typedef {ToolDefinition & ToolHandling} Tool */

/**
 * @typedef {object} ToolResult as `tools/call` of MCP has it
 * @property {{ type: 'text', text: string }[]} content
 * @property {boolean} [isError]
 */

/** What a reply may take if the caller does not say. */
const MAX_TOKENS = 6_000;

const NO_CALLER =
  'logSystem: has no method call(); expected what createLogSystem() returns';

/** @type {readonly Tool[]} */
const tools = Object.freeze(definitions.map(toolOf));

/**
 * @param {ToolDefinition} definition
 * @returns {Tool}
 */
function toolOf(definition) {
  return Object.freeze({
    ...definition,
    // async: a server waits for a promise, and has no place for what is thrown at once
    handler: async (params, logSystem, options) => {
      if (typeof logSystem?.call !== 'function') throw new TypeError(NO_CALLER);
      const asked = withBudget(definition.name, params);
      return logSystem.call(definition.name, asked, options);
    },
  });
}

/**
 * @param {string} name of the tool
 * @param {any} params none may be undefined or null, as clients send it
 */
function withBudget(name, params) {
  const given = params ?? {};
  if (typeof given !== 'object' || Array.isArray(given)) {
    const kind = Array.isArray(given) ? 'a list' : typeof given;
    const problem = `params of ${name}: ${kind}; expected a map`;
    throw Object.assign(new TypeError(problem), { code: INVALID_PARAMS });
  }
  return { ...given, max_tokens: given.max_tokens ?? MAX_TOKENS };
}

/**
 * The tools as an MCP server asks for them. The log system is started by the first call,
 * once however many come together; a start that failed is tried again by the next call.
 */
class MCPToolHandler {
  /** @type {StartableCaller | undefined} */
  #logSystem;
  /** @type {string | undefined} */
  #configPath;
  /** @type {Promise<StartableCaller> | undefined} */
  #starting;

  /**
   * @param {{ logSystem?: StartableCaller, configPath?: string }} [options] a log system
   *   that is started when it is needed; without one that of the process (getLogSystem)
   */
  constructor({ logSystem, configPath } = {}) {
    this.#logSystem = logSystem;
    this.#configPath = configPath;
  }

  /** What `tools/list` replies; starts nothing. */
  listTools() {
    return { tools: structuredClone(definitions) };
  }

  /**
   * What `tools/call` replies. Only a tool that does not exist throws: everything else
   * that goes wrong is a result with `isError`, which its reader can act on.
   * @param {string} name
   * @param {Record<string, unknown> | null} [params]
   * @param {CallOptions} [options]
   * @returns {Promise<ToolResult>}
   */
  async callTool(name, params, options) {
    const tool = tools.find((each) => each.name === name);
    if (tool === undefined) throw unknown(name);
    try {
      const logSystem = await this.#started();
      const reply = await tool.handler(params, logSystem, options);
      return { content: [{ type: 'text', text: JSON.stringify(reply) }] };
    } catch (error) {
      const text = problemOf(error);
      return { content: [{ type: 'text', text }], isError: true };
    }
  }

  async #started() {
    this.#starting ??= this.#start();
    try {
      return await this.#starting;
    } catch (error) {
      this.#starting = undefined;
      throw error;
    }
  }

  /** @returns {Promise<StartableCaller>} */
  async #start() {
    if (this.#logSystem === undefined) {
      // index.js exports this module, and is whole by now
      return require('./index.js').getLogSystem({
        configPath: this.#configPath,
      });
    }
    if (!this.#logSystem.isReady) await this.#logSystem.start();
    return this.#logSystem;
  }
}

/** @param {string} name */
function unknown(name) {
  const names = tools.map((tool) => tool.name).join(', ');
  const error = new Error(`there is no tool '${name}'; there are ${names}`);
  return Object.assign(error, { code: INVALID_PARAMS });
}

module.exports = { tools, MCPToolHandler };
