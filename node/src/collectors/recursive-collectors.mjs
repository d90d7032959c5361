export { default } from './recursive-collectors.js';
export {
  AIAnalysisCollector,
  ConsoleCollector,
  DatabaseCollector,
  HTTPCollector,
  LoggerCollector,
  MCPCollector,
  RecursiveCollectors,
  WebSocketCollector,
} from './recursive-collectors.js';
