export { default } from './json-rpc-client.js';
export {
  JSONRPCClient,
  RPCCallFailed,
  RPCError,
} from './json-rpc-client.js';
