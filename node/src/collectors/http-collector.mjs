export { default } from './http-collector.js';
export {
  HTTPCollector,
} from './http-collector.js';
