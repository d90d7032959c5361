export { default } from './console-collector.js';
export {
  ConsoleCollector,
} from './console-collector.js';
