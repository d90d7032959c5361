export { default } from './database-collector.js';
export {
  DatabaseCollector,
} from './database-collector.js';
