'use strict';

const express = require('express');

const { HTTPCollector } = require('../../src/collectors/http-collector.js');
const { Recording } = require('./recording.js');

/** A collector that is started, and what it has logged. */
function collecting(section = {}) {
  const logSystem = new Recording({ recursive_http: section });
  return { logSystem, collector: new HTTPCollector(logSystem).start() };
}

/** An Express application behind the middleware. */
function serving(routes, section) {
  const { logSystem, collector } = collecting(section);
  const app = express();
  app.use(collector.middleware);
  routes(app, collector);
  return { app, logSystem, collector };
}

/** A listening server; its port. */
async function listening(t, server) {
  t.after(() => server.close());
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server.address().port;
}

/** Waits until something holds: what a server notices of a client takes a moment. */
async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

module.exports = { collecting, listening, serving, until };
