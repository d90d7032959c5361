export { default } from './websocket-collector.js';
export {
  WebSocketCollector,
} from './websocket-collector.js';
