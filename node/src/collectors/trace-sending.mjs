export { default } from './trace-sending.js';
export {
  sendTraceparent,
} from './trace-sending.js';
