export { default } from './pino.js';
export {
  pinoTransport,
} from './pino.js';
