export { default } from './log-system-bridge.js';
export {
  LogSystemBridge,
} from './log-system-bridge.js';
