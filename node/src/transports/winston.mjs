export { default } from './winston.js';
export {
  RecursiveTransport,
} from './winston.js';
