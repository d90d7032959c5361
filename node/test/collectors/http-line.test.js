'use strict';

/** The short way of an entry to the store says what the long one says. */

const assert = require('node:assert/strict');
const test = require('node:test');
const express = require('express');
const supertest = require('supertest');

const { HTTPCollector } = require('../../src/collectors/http-collector.js');
const { Masking } = require('../../src/delivery/masking.js');
const { encodeEntry } = require('../../src/delivery/values.js');
const { rulesOf } = require('../../src/collectors/redaction-rules.js');

const TRACE = `00-${'4b'.repeat(16)}-${'0f'.repeat(8)}-01`;
const CARD = '4111 1111 1111 1111';

/** A log system that keeps entries as a bridge would send them. */
class Sending {
  constructor(redaction, isShort) {
    this.config = { redaction };
    this.masking = new Masking(rulesOf(redaction));
    this.entries = [];
    this.posted = 0;
    if (isShort) this.post = this.take;
  }

  log(entry) {
    this.entries.push(JSON.parse(encodeEntry(entry, '1', this.masking)));
  }

  take(item) {
    this.posted += 1;
    this.entries.push(JSON.parse(`{"timestamp":"1",${item.fields()}`));
  }
}

/** What a server logs of all kinds of requests. */
async function loggedBy(logSystem) {
  const app = express();
  app.use(new HTTPCollector(logSystem).start().middleware);
  app.get('/orders/:id', (request, response) => response.send('been there'));
  app.get('/away', (request, response) => response.redirect('/orders/1'));
  app.get('/fails', (request, response) => response.status(503).end());
  const client = supertest(app);
  const agent = (text) => ({ 'user-agent': text, traceparent: TRACE });
  await client.get('/orders/7?q=1').set(agent('probe/1'));
  await client.get('/orders/7').set(agent(`said "yes" \\ and ${CARD}`));
  await client.get(`/orders/${encodeURIComponent(CARD)}`).set(agent(''));
  await client.get(`/orders/${'x'.repeat(3_000)}`).set(agent('y'.repeat(900)));
  await client.head('/orders/7').set(agent('\u00e9\u0085'));
  await client.get('/away').set(agent('Bearer abcdefgh12345678'));
  await client.get('/fails').set(agent('probe'));
  await client.post('/none/[2]').set(agent('probe')).send({ a: 1 });
  for (const { metadata } of logSystem.entries) delete metadata.duration_ms;
  return logSystem;
}

for (const [name, redaction, isPosted] of [
  ['the usual rules', undefined, true],
  ['no rules', { enabled: false }, true],
  ['rules that name a field of it', { fields: ['user_agent'] }, false],
  ['rules that spare one', { except_fields: ['user_agent'] }, false],
  [
    'rules of the user',
    { patterns: [{ name: 'been', expression: 'orders' }] },
    false,
  ],
]) {
  test(`with ${name} a line is the entry that log() would make`, async () => {
    const short = await loggedBy(new Sending(redaction, true));
    const long = await loggedBy(new Sending(redaction, false));
    assert.equal(short.entries.length, 8);
    assert.deepEqual(short.entries, long.entries);
    assert.equal(short.posted, isPosted ? 8 : 0);
  });
}
