'use strict';

const fs = require('node:fs');
const path = require('node:path');

const { Batch } = require('../batch.js');
const { syncFolder, syncFolderSync, writeNewSync } = require('./files.js');
const { Ownership, listed } = require('./owner.js');
const records = require('./records.js');

const SEGMENT_BYTES = 4 << 20;
const BYTES_MAX = 256 << 20;

/** @typedef {import('../batch.js').Batch} BatchType */

/**
 * @typedef {object} Segment
 * @property {string} path
 * @property {number} size
 * @property {number} last highest number in it
 * @property {fs.promises.FileHandle | null} handle while it is written to
 */

/** @typedef {{segment: Segment, offset: number, length: number}} Place of a batch's entries */

/**
 * One producer's batches on disk, until they are stored. Files are there only meanwhile.
 *
 * Appends come one after another; each is whole or leaves nothing behind.
 */
class Spool {
  /**
   * @param {string} folder
   * @param {string} producer
   * @param {{bytes?: number, segmentBytes?: number, isSynced?: boolean}} [limits]
   *   `isSynced`: what was appended survives a power cut, too
   */
  constructor(folder, producer, limits = {}) {
    this.folder = folder;
    this.producer = producer;
    this.bytes = 0;
    /** Entries dropped so far before they had a number. */
    this.dropped = 0;
    this._bytesMax = limits.bytes ?? BYTES_MAX;
    this._segmentBytes = limits.segmentBytes ?? SEGMENT_BYTES;
    this._isSynced = limits.isSynced ?? false;
    this._owner = new Ownership(folder, producer);
    /** Whether its files are this process's. */
    this.isOwned = false;
    /** @type {Segment[]} */
    this._segments = [];
    this._made = 0;
    /** @type {Promise<unknown>} */
    this._work = Promise.resolve();
  }

  /** Whether there are files. */
  get isEmpty() {
    return this._segments.length === 0;
  }

  /**
   * Whether so many bytes may be added.
   * @param {number} bytes
   */
  hasRoom(bytes) {
    return this.bytes + bytes <= this._bytesMax;
  }

  /**
   * Writes batches; each knows its place then.
   * @param {BatchType[]} batches in the order of their numbers
   * @returns {Promise<void>} rejected with the system's error when none of them was written
   */
  append(batches) {
    return this._next(async () => {
      const parts = this._encoded(batches);
      const segment = await this._segmentFor(batches[0].sequence, parts.size);
      await this._write(segment, parts.buffers, parts.size);
      this._settle(segment, batches, segment.size - parts.size);
    });
  }

  /**
   * As append, at once, into a segment of its own: the host is about to end.
   * @param {BatchType[]} batches
   */
  appendSync(batches) {
    const parts = this._encoded(batches);
    const segment = this._newSegment(batches[0].sequence);
    const head = records.encodeHead(this.producer, batches[0].sequence);
    const all = Buffer.concat([head, ...parts.buffers]);
    writeNewSync(segment.path, all, this._isSynced);
    if (this._isSynced) syncFolderSync(this.folder);
    segment.size = head.length + parts.size;
    this.bytes += segment.size;
    this._segments.push(segment);
    this._settle(segment, batches, head.length);
  }

  /**
   * Notes that numbers up to here are stored, and deletes what has none above.
   * @param {number} stored
   */
  release(stored) {
    return this._next(async () => {
      const done = this._segments.filter(({ last }) => last <= stored);
      if (done.length === this._segments.length) return this._removeAll();
      for (const segment of done) {
        if (segment.handle === null) await this._remove(segment);
      }
      const current = this._segments.at(-1);
      if (current?.handle) await this._mark(current, stored);
    });
  }

  /**
   * A batch's entries; null when they can't be read any more.
   * @param {BatchType} batch
   * @returns {Promise<Buffer | null>}
   */
  async read({ place }) {
    if (place === null) return null;
    try {
      const file = await fs.promises.open(place.segment.path, 'r');
      try {
        const start = place.offset - records.RECORD_BYTES;
        const bytes = Buffer.alloc(records.RECORD_BYTES + place.length);
        await file.read(bytes, 0, bytes.length, start);
        const found = records.maybeRecord(bytes, 0);
        return found && bytes.subarray(found.offset);
      } finally {
        await file.close();
      }
    } catch (error) {
      return null;
    }
  }

  /**
   * Takes over what a dead process has left.
   * @param {string} owner
   * @returns {boolean} whether it is this one's now
   */
  claim(owner) {
    return (this.isOwned = this._owner.claim(owner));
  }

  /**
   * The batches of a spool that was taken over, those that are not stored yet.
   * @returns {Promise<{batches: BatchType[], damaged: number}>} and how many places can't be read
   */
  async load() {
    const loading = { found: new Map(), damaged: 0, stored: 0 };
    const prefix = `${this.producer}.`;
    for (const name of listed(this.folder).sort()) {
      if (name.startsWith(prefix) && name.endsWith('.spool')) {
        await this._loadSegment(path.join(this.folder, name), loading);
      }
    }
    const batches = [...loading.found.values()]
      .filter(({ last }) => last > loading.stored)
      .sort((one, other) => one.sequence - other.sequence);
    return { batches, damaged: loading.damaged };
  }

  /**
   * @param {string} file
   * @param {{found: Map<number, BatchType>, damaged: number, stored: number}} loading
   */
  async _loadSegment(file, loading) {
    const bytes = await fs.promises.readFile(file);
    const segment = { path: file, size: bytes.length, last: 0, handle: null };
    this._segments.push(segment);
    this.bytes += bytes.length;
    if (records.maybeHead(bytes)?.producer !== this.producer) {
      // a head that is torn had nothing behind it
      if (bytes.length >= records.HEAD_BYTES) loading.damaged++;
      return;
    }
    const content = records.scan(bytes);
    loading.damaged += content.damaged;
    for (const record of content.records) {
      this.dropped = Math.max(this.dropped, record.dropped);
      if (record.kind === records.MARK) {
        loading.stored = Math.max(loading.stored, record.sequence);
        continue;
      }
      const batch = new Batch(record.sequence, record.count, null);
      batch.bytes = record.length;
      batch.place = { segment, offset: record.offset, length: record.length };
      segment.last = Math.max(segment.last, batch.last);
      if (!loading.found.has(batch.sequence)) {
        loading.found.set(batch.sequence, batch);
      }
    }
  }

  /** Deletes it. */
  remove() {
    return this._next(() => this._removeAll());
  }

  /** Deletes it at once: the host is about to end. */
  removeSync() {
    if (!this.isOwned) return;
    for (const segment of this._segments) {
      fs.rmSync(segment.path, { force: true });
    }
    this._segments = [];
    this.bytes = 0;
    this._owner.end();
    this.isOwned = false;
  }

  /**
   * Leaves what is there to whoever comes next.
   * @returns {Promise<void>} once its files are closed
   */
  leave() {
    if (this.isOwned) this._owner.leave();
    this.isOwned = false;
    return this._next(async () => {
      for (const segment of this._segments) await this._finish(segment);
    });
  }

  /**
   * @template T
   * @param {() => Promise<T>} work
   */
  _next(work) {
    const done = this._work.then(work);
    this._work = done.catch(() => {});
    return done;
  }

  /** @param {BatchType[]} batches */
  _encoded(batches) {
    const buffers = [];
    let size = 0;
    for (const { sequence, count, body } of batches) {
      const content = /** @type {Buffer} */ (body);
      const record = { kind: records.BATCH, sequence, count };
      const head = records.encodeRecord(
        { ...record, dropped: this.dropped },
        content,
      );
      buffers.push(head, content);
      size += head.length + content.length;
    }
    return { buffers, size };
  }

  /**
   * @param {Segment} segment
   * @param {BatchType[]} batches
   * @param {number} start of the first one's record
   */
  _settle(segment, batches, start) {
    let offset = start;
    for (const batch of batches) {
      offset += records.RECORD_BYTES;
      batch.place = { segment, offset, length: batch.bytes };
      offset += batch.bytes;
      segment.last = batch.last;
    }
  }

  /**
   * @param {number} first
   * @param {number} size
   */
  async _segmentFor(first, size) {
    const current = this._segments.at(-1);
    if (current?.handle) {
      if (current.size + size <= this._segmentBytes) return current;
      await this._finish(current);
    }
    const segment = this._newSegment(first);
    const handle = await fs.promises.open(segment.path, 'wx', 0o600);
    segment.handle = handle;
    this._segments.push(segment);
    await this._write(segment, [records.encodeHead(this.producer, first)], 32);
    if (this._isSynced) await syncFolder(this.folder);
    return segment;
  }

  /**
   * @param {number} first
   * @returns {Segment}
   */
  _newSegment(first) {
    if (!this.isOwned) {
      fs.mkdirSync(this.folder, { recursive: true, mode: 0o700 });
      this._owner.create();
      this.isOwned = true;
    }
    const number = String(first).padStart(16, '0');
    // the count keeps segments apart that begin with the same number
    const name = `${this.producer}.${number}.${this._made++}.spool`;
    const file = path.join(this.folder, name);
    return { path: file, size: 0, last: 0, handle: null };
  }

  /**
   * @param {Segment} segment
   * @param {Buffer[]} buffers
   * @param {number} size
   */
  async _write(segment, buffers, size) {
    const handle = /** @type {fs.promises.FileHandle} */ (segment.handle);
    try {
      const all = Buffer.concat(buffers);
      let written = 0;
      while (written < size) {
        const at = segment.size + written;
        const done = await handle.write(all, written, size - written, at);
        written += done.bytesWritten;
      }
      if (this._isSynced) await handle.datasync();
    } catch (error) {
      // what was written of it is no record, and the next one goes elsewhere
      await this._finish(segment);
      if (segment.last === 0) await this._remove(segment);
      throw error;
    }
    segment.size += size;
    this.bytes += size;
  }

  /**
   * @param {Segment} segment
   * @param {number} stored
   */
  async _mark(segment, stored) {
    const mark = { kind: records.MARK, sequence: stored, count: 0 };
    const none = Buffer.alloc(0);
    const head = records.encodeRecord({ ...mark, dropped: this.dropped }, none);
    await this._write(segment, [head], head.length);
  }

  /** @param {Segment} segment */
  async _finish(segment) {
    await segment.handle?.close().catch(() => {});
    segment.handle = null;
  }

  /** @param {Segment} segment */
  async _remove(segment) {
    await this._finish(segment);
    await fs.promises.rm(segment.path, { force: true });
    this.bytes -= segment.size;
    this._segments = this._segments.filter((other) => other !== segment);
  }

  async _removeAll() {
    for (const segment of [...this._segments]) await this._remove(segment);
    if (this.isOwned) this._owner.end();
    this.isOwned = false;
  }
}

module.exports = { Spool };
