export { default } from './logger-collector.js';
export {
  LoggerCollector,
} from './logger-collector.js';
