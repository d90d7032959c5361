'use strict';

/**
 * New entries as they come: `npm run dev:logs [-- --config FILE] [TEXT]`, where TEXT is a
 * query such as `level:error`. It waits for a pipeline and comes back when it does.
 */
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');

const { createLogSystem } = require('./log-system.js');

const RETRY_MS = 1000;
const SHOWN = { timestamp: 23, level: 5, source: 16 };

/** @param {any} entry */
function lineOf(entry) {
  const { timestamp, level, source, message } = entry;
  const time = timestamp.slice(0, SHOWN.timestamp);
  const head = `${time} ${level.padEnd(SHOWN.level)} ${source.padEnd(SHOWN.source)}`;
  // control characters of a log must not reach the terminal
  // eslint-disable-next-line no-control-regex
  const text = message.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ');
  return `${head} ${text}`;
}

/**
 * The data of each event of a stream.
 * @param {AsyncIterable<Uint8Array>} body
 */
async function* events(body) {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of body) {
    const parts = (rest + decoder.decode(piece, { stream: true })).split(
      '\n\n',
    );
    rest = parts.pop() ?? '';
    for (const part of parts) {
      const data = part.split('\n').filter((line) => line.startsWith('data:'));
      if (data.length > 0) yield data.map((line) => line.slice(5)).join('\n');
    }
  }
}

/** @param {URL} address */
async function follow(address) {
  const response = await fetch(address);
  if (!response.ok || response.body === null)
    throw new Error(await response.text());
  for await (const data of events(response.body)) {
    const event = JSON.parse(data);
    console.log(
      'missed' in event ? `... ${event.missed} missed` : lineOf(event),
    );
  }
}

async function main() {
  const { values, positionals } = parseArgs({
    options: { config: { type: 'string' } },
    allowPositionals: true,
  });
  const { client } = createLogSystem(values.config);
  const address = new URL('/tail', client.endpoint);
  if (positionals.length > 0)
    address.searchParams.set('q', positionals.join(' '));
  let last = '';
  for (;;) {
    const why = await follow(address).then(
      () => 'it ended',
      (error) => error.cause?.code ?? error.message,
    );
    if (why !== last) console.error(`${address.href}: ${why}; trying again`);
    last = why;
    await sleep(RETRY_MS);
  }
}

void main();
