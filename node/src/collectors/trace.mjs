export { default } from './trace.js';
export {
  Trace,
  currentTrace,
  currentTraceId,
  newSpanId,
  newTraceId,
  parseTraceparent,
  storage,
  traceparent,
  withTrace,
} from './trace.js';
