export { default } from './mcp-collector.js';
export {
  MCPCollector,
} from './mcp-collector.js';
