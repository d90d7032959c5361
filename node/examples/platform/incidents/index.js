'use strict';

/**
 * Ten incidents: what happens, what one asks without knowing it, and the fact that has to
 * be in the replies.
 *
 * @module
 */

const { setTimeout: sleep } = require('node:timers/promises');
const { WebSocket } = require('ws');

/**
 * @typedef {import('../platform.js').Platform} Platform
 * @typedef {(path: string, options?: RequestInit) => Promise<Response>} Ask
 * @typedef {object} Incident
 * @property {string} name
 * @property {(platform: Platform, ask: Ask) => Promise<void>} happens
 * @property {Array<[string, Record<string, unknown>]>} calls at most three tools
 * @property {RegExp[]} telling all of them are in the replies, none in the calls
 */

/** @param {unknown} body */
const posted = (body) => ({
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(body),
});

/**
 * @param {number} count
 * @param {(i: number) => Promise<unknown>} work
 */
const times = (count, work) =>
  Promise.all(Array.from({ length: count }, (_, i) => work(i)));

/** @type {Incident[]} */
const incidents = [
  {
    name: 'a failing dependency',
    async happens(platform, ask) {
      platform.dependencies.inventory = 'http://127.0.0.1:1';
      await times(8, (i) => ask(`/stock/${i}`));
    },
    calls: [['get_recent_errors', { minutes: 5, sources: ['http_traffic'] }]],
    telling: [/dependency inventory failed/, /\/stock\//],
  },
  {
    name: 'a slow query',
    async happens(platform, ask) {
      platform.database.slow.invoices = 1100;
      await times(3, () => ask('/invoices'));
      platform.database.slow = {};
    },
    calls: [['analyze_performance', { timerange: '5m' }]],
    telling: [
      /FROM invoices WHERE lower\(customer\)/,
      /\/invoices n=3 p50=\d{4}/,
    ],
  },
  {
    name: 'a crash loop',
    async happens(platform) {
      for (let restarts = 1; restarts <= 6; restarts += 1) {
        platform.logger.emit('log', 'error', 'worker process ended', {
          worker: 'thumbnails',
          exit_code: 1,
          restarts,
          last_words: "Error: Cannot find module 'sharp'",
        });
      }
    },
    calls: [['get_recent_errors', { minutes: 5 }]],
    telling: [
      /worker process ended/,
      /thumbnails/,
      /Cannot find module 'sharp'/,
    ],
  },
  {
    name: 'a leak of 4xx',
    async happens(platform, ask) {
      const headers = { 'User-Agent': 'mobile/3.2.0' };
      await times(30, () => ask('/v1/profile', { headers }));
    },
    calls: [
      ['get_log_stats', { timerange: '5m', group_by: 'level' }],
      [
        'search_logs',
        {
          query: 'level:WARN status:404',
          timerange: '5m',
          sources: ['http_traffic'],
          context: 0,
        },
      ],
    ],
    telling: [/\/v1\/profile/, /mobile\/3\.2\.0/],
  },
  {
    name: 'a silent worker',
    async happens(platform, ask) {
      platform.worker.silent.add('gpu-2');
      await times(6, () =>
        ask('/analyses', posted({ type: 'sentiment', text: 'x' })),
      );
      const { ai } = platform.collectors.collectors;
      await until(() => ai.counters.expired >= 3);
    },
    calls: [
      ['debug_session', { since: '5m' }],
      [
        'search_logs',
        { query: '"not completed"', timerange: '5m', context: 0 },
      ],
    ],
    telling: [/AI sentiment has not completed/, /gpu-2/],
  },
  {
    name: 'a full pool',
    async happens(platform, ask) {
      platform.database.isFull = true;
      await times(5, (i) => ask(`/orders/${i}`));
      platform.database.isFull = false;
    },
    calls: [['get_recent_errors', { minutes: 5, sources: ['database'] }]],
    telling: [
      /database connection failed/,
      /timeout exceeded when trying to connect/,
    ],
  },
  {
    name: 'a broken release',
    async happens(platform, ask) {
      platform.release.price = (item) => item.discount.percent;
      await times(5, () => ask('/checkout?item=7'));
    },
    calls: [['get_recent_errors', { minutes: 5 }]],
    telling: [/\/checkout/, /reading 'percent'/],
  },
  {
    name: 'a tool without quota',
    async happens(platform, ask) {
      platform.mcp.tools.weather = () => {
        throw new Error('quota of api.weather.example exceeded');
      };
      const params = { name: 'weather', arguments: { city: 'Graz' } };
      await times(4, (id) =>
        ask('/mcp', posted({ id, method: 'tools/call', params })),
      );
    },
    calls: [
      ['debug_session', { since: '5m' }],
      ['get_recent_errors', { minutes: 5, sources: ['recursive_mcp'] }],
    ],
    telling: [
      /MCP tools\/call failed/,
      /quota of api\.weather\.example exceeded/,
    ],
  },
  {
    name: 'connections that break',
    async happens(platform) {
      await times(5, () => brokenConnection(platform.port));
      const { websocket } = platform.collectors.collectors;
      await until(() => websocket.counters.closed >= 5);
    },
    calls: [
      [
        'search_logs',
        {
          query: 'level:>=WARN',
          timerange: '5m',
          sources: ['recursive_websocket'],
          context: 0,
        },
      ],
    ],
    telling: [/WebSocket closed/, /1006/],
  },
  {
    name: 'passwords that are tried',
    async happens(platform, ask) {
      const headers = { 'User-Agent': 'hydra/9' };
      await times(25, (i) =>
        ask('/login', {
          ...posted({ password: `guess${i}` }),
          headers: { ...headers, 'Content-Type': 'application/json' },
        }),
      );
    },
    calls: [
      ['analyze_performance', { timerange: '5m' }],
      ['search_logs', { query: 'status:401', timerange: '5m', context: 0 }],
    ],
    telling: [/POST \/login/, /hydra\/9/, /127\.0\.0\.1/],
  },
];

/**
 * Waits for what a collector sees only later.
 * @param {() => boolean} condition
 */
async function until(condition) {
  for (let tries = 0; tries < 1000 && !condition(); tries += 1) await sleep(20);
}

/**
 * A client that is there and then is not.
 * @param {number} port
 */
function brokenConnection(port) {
  return new Promise((resolve) => {
    const client = new WebSocket(`ws://127.0.0.1:${port}/live`);
    client.on('open', () => client.terminate());
    client.on('error', () => {});
    client.on('close', resolve);
  });
}

module.exports = { incidents };
