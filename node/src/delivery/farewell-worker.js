'use strict';

/** The thread of farewell.js. */

const { workerData } = require('node:worker_threads');

const { JSONRPCClient } = require('../utils/json-rpc-client.js');
const { deliver } = require('./adoption.js');
const { Spool } = require('./spool/spool.js');

const { endpoint, headers, folder, producer, timeoutMs, state } = workerData;

/** @param {number} outcome */
function tell(outcome) {
  Atomics.store(state, 0, outcome);
  Atomics.notify(state, 0);
}

const client = new JSONRPCClient(endpoint, { headers, timeoutMs });
const signal = AbortSignal.timeout(timeoutMs);
deliver(new Spool(folder, producer), client, { signal, isPatient: false }).then(
  () => tell(1),
  () => tell(2),
);
