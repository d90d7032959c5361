'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const { Sender } = require('../../src/delivery/sender.js');
const { LogSystemBridge } = require('../../src/log-system-bridge.js');

/** A gateway that takes entries, or is away. */
function caller(isThere = true) {
  const taken = [];
  return {
    taken,
    endpoint: 'http://127.0.0.1:1',
    async callText(text) {
      if (!isThere) throw new Error('away');
      taken.push(text);
      const { sequence, logs } = JSON.parse(text).params;
      const ids = logs.map(String);
      return { accepted: logs.length, rejected: [], durable: sequence, ids };
    },
  };
}

const ENTRY = {
  source: 'web',
  level: 'INFO',
  message: 'login password=hunter2 of ann',
  metadata: { headers: { Cookie: 'sid=hunter2' }, order: 'CUST-123456' },
};

test('Nothing that is spooled while the gateway is away has a secret.', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'masking-'));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  const sender = new Sender({ client: caller(false), spoolDir: folder });
  sender.log(ENTRY);
  await sender.close(50);

  const text = fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .map((file) => fs.readFileSync(path.join(file.path, file.name), 'latin1'))
    .join('');
  assert.match(text, /login password=\[redacted\] of ann/);
  assert.doesNotMatch(text, /hunter2/);
  assert.deepEqual(sender.counters.redactedBy, { assignment: 1, cookie: 1 });
});

test('Rules of the configuration reach log(), and a wrong one its constructor.', () => {
  const redaction = {
    patterns: [{ name: 'customer', expression: 'CUST-[0-9]{6}' }],
    except_fields: ['cookie'],
  };
  const config = { redaction, sender: { spoolDir: null }, exitHooks: false };
  const bridge = new LogSystemBridge({ port: 1, ...config });
  bridge.log(ENTRY);

  assert.deepEqual(bridge.sender.counters.redactedBy, {
    assignment: 1,
    customer: 1,
  });
  redaction.patterns[0].expression = '(a+)+b';
  assert.throws(
    () => new LogSystemBridge({ port: 1, ...config }),
    /redaction\.patterns\[0\]\.expression: something follows a repeat/,
  );
});

test('With enabled: false all stays as it is.', () => {
  const redaction = { enabled: false };
  const bridge = new LogSystemBridge({
    ...{ port: 1, redaction, sender: { spoolDir: null }, exitHooks: false },
  });
  bridge.log(ENTRY);

  assert.equal(bridge.sender.counters.redacted, 0);
});
