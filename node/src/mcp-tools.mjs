export { default } from './mcp-tools.js';
export {
  MCPToolHandler,
  tools,
} from './mcp-tools.js';
