'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { afterEach, beforeEach, test } = require('node:test');

const { Batch } = require('../../src/delivery/batch.js');
const { abandoned } = require('../../src/delivery/spool/owner.js');
const { Spool } = require('../../src/delivery/spool/spool.js');

const SRC = path.join(__dirname, '..', '..', 'src');
const PRODUCER = '0123456789abcdef'.repeat(2);

/** @type {string} */
let folder;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'spool-'));
});

afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Batches of ten entries each. */
function batches(count, { first = 1, size = 100 } = {}) {
  return Array.from({ length: count }, (_, index) => {
    const sequence = first + 10 * index;
    const text = `{"n":${sequence}}`.padEnd(size);
    return new Batch(sequence, 10, Buffer.from(text));
  });
}

/** What another process finds in the folder. */
async function found() {
  const spool = new Spool(folder, PRODUCER);
  const { batches: loaded, damaged } = await spool.load();
  const bodies = await Promise.all(loaded.map((batch) => spool.read(batch)));
  const numbers = bodies.map((body) => body && JSON.parse(String(body)).n);
  return { numbers, damaged, dropped: spool.dropped, loaded };
}

const segments = () =>
  fs.readdirSync(folder).filter((name) => name.endsWith('.spool'));

test('what was appended is found again, each batch once and in order', async () => {
  const spool = new Spool(folder, PRODUCER);
  spool.dropped = 5;
  const all = batches(6);
  await spool.append(all.slice(0, 3));
  await spool.append(all.slice(3));
  spool.appendSync(all.slice(4));
  const { numbers, damaged, dropped, loaded } = await found();
  assert.deepEqual(numbers, [1, 11, 21, 31, 41, 51]);
  assert.deepEqual([damaged, dropped], [0, 5]);
  assert.equal(loaded[5].last, 60);
  assert.equal(String(await spool.read(all[1])).trim(), '{"n":11}');
});

test('files are open to their user only', async () => {
  const spool = new Spool(path.join(folder, 'own'), PRODUCER);
  await spool.append(batches(1));
  assert.equal(fs.statSync(spool.folder).mode & 0o777, 0o700);
  for (const name of fs.readdirSync(spool.folder)) {
    const { mode } = fs.statSync(path.join(spool.folder, name));
    assert.equal(mode & 0o777, 0o600);
  }
});

test('segments are bounded, and deleted as their numbers are stored', async () => {
  const spool = new Spool(folder, PRODUCER, { segmentBytes: 500 });
  for (const batch of batches(9)) await spool.append([batch]);
  assert.equal(segments().length, 3);
  await spool.release(50);
  assert.equal(segments().length, 2);
  assert.deepEqual((await found()).numbers, [51, 61, 71, 81]);
  await spool.release(90);
  assert.deepEqual(fs.readdirSync(folder), []);
  assert.equal(spool.bytes, 0);

  await spool.append(batches(1, { first: 91 }));
  assert.deepEqual((await found()).numbers, [91]);
});

test('a tail that was torn off is ignored, at every length', async () => {
  const spool = new Spool(folder, PRODUCER);
  await spool.append(batches(2));
  const [name] = segments();
  const whole = fs.readFileSync(path.join(folder, name));
  for (let length = whole.length - 1; length >= 0; length -= 7) {
    fs.writeFileSync(path.join(folder, name), whole.subarray(0, length));
    const { numbers, damaged } = await found();
    assert.deepEqual(numbers, [1, 11].slice(0, length < 165 ? 0 : 1));
    assert.equal(damaged, 0);
  }
});

test('a damaged record costs only itself', async () => {
  const spool = new Spool(folder, PRODUCER);
  await spool.append(batches(3));
  const [name] = segments();
  const bytes = fs.readFileSync(path.join(folder, name));
  bytes[200] ^= 1;
  fs.writeFileSync(path.join(folder, name), bytes);
  const { numbers, damaged } = await found();
  assert.deepEqual([numbers, damaged], [[1, 21], 1]);
});

test('a batch that is damaged after it was found is read as none', async () => {
  const spool = new Spool(folder, PRODUCER);
  const [batch] = batches(1);
  await spool.append([batch]);
  const file = path.join(folder, segments()[0]);
  const bytes = fs.readFileSync(file);
  bytes[100] ^= 1;
  fs.writeFileSync(file, bytes);
  assert.equal(await spool.read(batch), null);
});

test('a foreign file of such a name is counted, and is no batch', async () => {
  fs.writeFileSync(path.join(folder, `${PRODUCER}.1.0.spool`), 'x'.repeat(99));
  const { numbers, damaged } = await found();
  assert.deepEqual([numbers, damaged], [[], 1]);
});

test('an append that fails leaves nothing, and the next one is tried anew', async () => {
  const spool = new Spool(path.join(folder, 'later'), PRODUCER);
  fs.writeFileSync(spool.folder, 'in the way');
  const [one] = batches(1);
  await assert.rejects(spool.append([one]), { code: 'EEXIST' });
  fs.rmSync(spool.folder);
  await spool.append([one]);
  assert.notEqual(one.place, null);
});

test('a spool has an owner, and none once it was left', async () => {
  const spool = new Spool(folder, PRODUCER);
  await spool.append(batches(1));
  assert.deepEqual(abandoned(folder, Date.now()), []);
  spool.leave();
  const [{ producer, owner }] = abandoned(folder, Date.now());
  assert.deepEqual([producer, owner], [PRODUCER, 'free']);

  const heirs = [1, 2].map(() => new Spool(folder, PRODUCER));
  assert.deepEqual(
    heirs.map((heir) => heir.claim(owner)),
    [true, false],
  );
  await heirs[0].remove();
});

test('an owner is gone when its process is, or another one has its number', async () => {
  const child = spawn('sleep', ['60']);
  await once(child, 'spawn');
  const spool = new Spool(folder, PRODUCER);
  await spool.append(batches(1));
  const [own] = fs
    .readdirSync(folder)
    .filter((name) => name.endsWith('.owner'));
  spool._owner._stop();
  const [, name] = own.split('.');
  const [world, , start, thread] = name.split('-');
  /** Whether it is abandoned, with this owner. */
  const isGone = (owner, silentMs = 0) => {
    const [file] = fs.readdirSync(folder).filter((one) => /owner$/.test(one));
    const path_ = path.join(folder, `${PRODUCER}.${owner}.owner`);
    fs.renameSync(path.join(folder, file), path_);
    return abandoned(folder, Date.now() + silentMs).length === 1;
  };
  const stat = fs.readFileSync(`/proc/${child.pid}/stat`, 'latin1');
  const childStart = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  assert.equal(isGone(`${world}-${child.pid}-${childStart}-0`), false);
  assert.equal(isGone(`${world}-${child.pid}-1-0`), true);
  assert.equal(isGone(`${world}-${process.pid}-${start}-${thread}`), false);
  assert.equal(isGone(`elsewhere_1-${child.pid}-1-0`), false);
  assert.equal(isGone(`elsewhere_1-${child.pid}-1-0`, 61_000), true);
  child.kill();
  await once(child, 'exit');
  assert.equal(isGone(`${world}-${child.pid}-${childStart}-0`), true);
});

test('of what a full disk takes half of nothing is left, and nothing is forgotten', async () => {
  const program = `
    const { Batch } = require('${SRC}/delivery/batch.js');
    const { Spool } = require('${SRC}/delivery/spool/spool.js');
    const spool = new Spool('${folder}', '${PRODUCER}');
    const large = new Batch(1, 10, Buffer.alloc(10_000, 32));
    try { spool.appendSync([large]); } catch (error) { console.log(error.code); }
    console.log(large.place, spool.isEmpty);
    spool.appendSync([new Batch(11, 10, Buffer.from('{"n":11}'))]);`;
  // no file may be larger than 4 KiB: the first write is cut short, the next fails
  const limited = `trap '' XFSZ; ulimit -f 4; exec "$0" -e "$1"`;
  const child = spawn('bash', ['-c', limited, process.execPath, program]);
  let printed = '';
  child.stdout.on('data', (piece) => (printed += piece));
  await once(child, 'close');
  assert.equal(printed, 'EFBIG\nnull true\n');
  assert.equal(segments().length, 1);
  assert.deepEqual((await found()).numbers, [11]);
});

test('a spool that is synced is synced before an append has ended', async (t) => {
  const probe = await fs.promises.open(folder, 'r');
  const handles = Object.getPrototypeOf(probe);
  await probe.close();
  const data = t.mock.method(handles, 'datasync');
  const names = t.mock.method(handles, 'sync');
  const atOnce = t.mock.method(fs, 'fsyncSync');
  const plain = new Spool(folder, PRODUCER);
  await plain.append(batches(1));
  await plain.leave();
  assert.equal(data.mock.callCount() + names.mock.callCount(), 0);
  const spool = new Spool(folder, PRODUCER, { isSynced: true });
  await spool.append(batches(1, { first: 11 }));
  assert.ok(data.mock.callCount() > 0 && names.mock.callCount() === 1);
  spool.appendSync(batches(1, { first: 21 }));
  assert.equal(atOnce.mock.callCount(), 2);
  await spool.leave();
});
