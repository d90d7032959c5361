'use strict';

/** An MCP server of two tools that tells a bus of its calls. */
class McpServer {
  /**
   * @param {import('node:events').EventEmitter} bus
   */
  constructor(bus) {
    this._bus = bus;
    /** @type {Record<string, (values: any) => any>} */
    this.tools = {
      add: ({ a, b }) => a + b,
      weather: ({ city }) => `It is sunny in ${city}.`,
    };
  }

  /**
   * @param {{id?: number, method: string, params?: any}} request
   * @returns {Promise<Record<string, unknown>>}
   */
  async handle(request) {
    const { id, method, params } = request;
    this._bus.emit('mcp:request', { id, method, params });
    const answer = await this._answer(method, params);
    this._bus.emit('mcp:response', { id, method, ...answer });
    return { jsonrpc: '2.0', id, ...answer };
  }

  /**
   * @param {string} method
   * @param {any} params
   */
  async _answer(method, params) {
    if (method === 'tools/list') {
      const tools = Object.keys(this.tools).map((name) => ({ name }));
      return { result: { tools } };
    }
    const tool = this.tools[params?.name];
    if (method !== 'tools/call' || tool === undefined) {
      const message = `unknown: ${method} ${params?.name ?? ''}`;
      return { error: { code: -32602, message } };
    }
    try {
      const text = String(await tool(params.arguments ?? {}));
      return { result: { content: [{ type: 'text', text }] } };
    } catch (error) {
      const text = /** @type {Error} */ (error).message;
      return { result: { isError: true, content: [{ type: 'text', text }] } };
    }
  }
}

module.exports = { McpServer };
