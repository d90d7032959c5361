'use strict';

/**
 * The Recursive Log Pipeline beside a Node program: started, fed and asked from it.
 *
 * @module
 */

const {
  AIAnalysisCollector,
  ConsoleCollector,
  DatabaseCollector,
  HTTPCollector,
  LoggerCollector,
  MCPCollector,
  RecursiveCollectors,
  WebSocketCollector,
} = require('./collectors/recursive-collectors.js');
const { sendTraceparent } = require('./collectors/trace-sending.js');
const { loadConfig } = require('./config/load-config.js');
const {
  AddressTakenError,
  ConfigError,
  LogSystemError,
  NotReadyError,
  PythonMissingError,
  StartError,
  StoppedError,
} = require('./errors.js');
const {
  LogSystem,
  createLogSystem,
  getLogSystem,
  initializeLogSystem,
} = require('./log-system.js');
const { LogSystemBridge } = require('./log-system-bridge.js');
const { MCPToolHandler, tools } = require('./mcp-tools.js');
const {
  JSONRPCClient,
  RPCCallFailed,
  RPCError,
} = require('./utils/json-rpc-client.js');

module.exports = {
  AIAnalysisCollector,
  AddressTakenError,
  ConfigError,
  ConsoleCollector,
  DatabaseCollector,
  HTTPCollector,
  JSONRPCClient,
  LogSystem,
  LogSystemBridge,
  LogSystemError,
  LoggerCollector,
  MCPCollector,
  MCPToolHandler,
  NotReadyError,
  PythonMissingError,
  RPCCallFailed,
  RPCError,
  RecursiveCollectors,
  StartError,
  StoppedError,
  WebSocketCollector,
  createLogSystem,
  getLogSystem,
  initializeLogSystem,
  loadConfig,
  sendTraceparent,
  tools,
};
