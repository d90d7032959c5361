'use strict';

const express = require('express');

/**
 * The platform's HTTP side.
 * @param {import('./platform.js').Platform} platform
 */
function routes(platform) {
  const { database, mcp, worker } = platform;
  const app = express();
  app.use(platform.collectors.startHTTPCollector());
  app.use(express.json());

  app.get('/health', (request, response) => response.json({ ok: true }));

  app.get('/orders/:id', async (request, response) => {
    const { rows } = await database.query(
      'SELECT id, total FROM orders WHERE id = $1',
      [request.params.id],
    );
    response.json(rows[0]);
  });

  app.get('/invoices', async (request, response) => {
    const { rows } = await database.query(
      "SELECT * FROM invoices WHERE lower(customer) = 'ann' ORDER BY due",
    );
    response.json(rows);
  });

  app.get('/stock/:id', async (request, response) => {
    response.json(await platform.dependency('inventory', request.params.id));
  });

  app.get('/checkout', (request, response) => {
    response.json({ price: platform.release.price(request.query.item) });
  });

  app.post('/login', (request, response) => {
    const isKnown = request.body?.password === 'correct';
    response.sendStatus(isKnown ? 204 : 401);
  });

  app.post('/mcp', async (request, response) => {
    response.json(await mcp.handle(request.body));
  });

  app.post('/analyses', async (request, response) => {
    response.json(await worker.analyse(request.body));
  });

  const http = platform.collectors.collectors.http;
  app.use(/** @type {any} */ (http).errorHandler);
  app.use(
    /** @type {import('express').ErrorRequestHandler} */
    (error, request, response, _next) => {
      response.status(error.status ?? 500).json({ error: error.message });
    },
  );
  return app;
}

module.exports = { routes };
