'use strict';

const { RANKS } = require('./levels.js');
const { posted } = require('./receive.js');

/** What an entry takes beside its text. */
const ENTRY_COST = 200;
/** One in so many bytes is made free at once, so that not every call has to look. */
const SHED_SHARE = 32;
/** What was posted is made entries so many at a time: code that is warm takes a third of the time. */
const HELD_MAX = 128;

/** @typedef {import('./receipt.js').Entry} Entry */

/** Entries without a number yet, in the order of their calls; bounded. */
class EntryBuffer {
  /**
   * @param {{bytes: number, entries: number}} limits
   * @param {(entry: Entry, reason?: string | null) => void} drop is given what has to go, and why if it isn't for room
   */
  constructor({ bytes, entries }, drop) {
    this._bytesMax = bytes;
    this._entriesMax = entries;
    this._drop = drop;
    /** @type {Entry[]} */
    this._entries = [];
    this._first = 0;
    /** @type {import('./receive.js').Posted[]} no entries yet */
    this._held = [];
    this._otherBytes = 0;
    this._counts = new Array(RANKS).fill(0);
    /** What they take, with what it takes to hold them. */
    this.bytes = 0;
  }

  /** Entries that wait. */
  get count() {
    return this._entries.length - this._first + this._held.length;
  }

  /** Whether somebody waits for the outcome of one. */
  get isAwaited() {
    for (let index = this._first; index < this._entries.length; index++) {
      if (this._entries[index].isAwaited) return true;
    }
    return false;
  }

  /**
   * Takes what becomes an entry when it is needed.
   * @param {import('./receive.js').Posted} item
   * @param {number} otherBytes as push
   */
  hold(item, otherBytes) {
    this._held.push(item);
    this._otherBytes = otherBytes;
    if (this._held.length >= HELD_MAX) this._make();
  }

  /** Makes entries of all that is held. */
  _make() {
    const held = this._held;
    if (held.length === 0) return;
    this._held = [];
    for (const item of held) {
      const entry = posted(item);
      const isTaken =
        entry.reason === null && this._add(entry, this._otherBytes);
      if (!isTaken) this._drop(entry, entry.reason);
    }
  }

  /**
   * Takes an entry; when there is no room, the oldest of the lowest level go.
   * @param {Entry} entry
   * @param {number} otherBytes of what has a number already
   * @returns {boolean} whether it was taken
   */
  push(entry, otherBytes) {
    this._make();
    return this._add(entry, otherBytes);
  }

  /**
   * @param {Entry} entry
   * @param {number} otherBytes
   */
  _add(entry, otherBytes) {
    const cost = entry.text.length + ENTRY_COST;
    const room = this._bytesMax - otherBytes - cost;
    if (this.bytes > room || this.count >= this._entriesMax) {
      if (room < 0 || !this._shed(entry.rank, room)) return false;
    }
    this._entries.push(entry);
    this._counts[entry.rank]++;
    this.bytes += cost;
    return true;
  }

  /**
   * The oldest ones, of about so many bytes; at least one.
   * @param {number} entries
   * @param {number} bytes
   * @returns {Entry[]}
   */
  take(entries, bytes) {
    this._make();
    let end = this._first;
    let size = 0;
    const most = Math.min(this._entries.length, end + entries);
    while (end < most) {
      size += this._entries[end].text.length;
      if (size > bytes && end > this._first) break;
      end++;
    }
    const taken = this._entries.slice(this._first, end);
    for (const entry of taken) {
      this._counts[entry.rank]--;
      this.bytes -= entry.text.length + ENTRY_COST;
    }
    this._first = end;
    if (this._first === this._entries.length) {
      this._entries = [];
      this._first = 0;
    } else if (this._first > 4096 && this._first * 2 > this._entries.length) {
      this._entries = this._entries.slice(this._first);
      this._first = 0;
    }
    return taken;
  }

  /**
   * Drops entries of the lowest level, oldest first, and of further ones up to `rank`.
   * @param {number} rank of the entry that needs room; more severe ones stay
   * @param {number} room bytes that may be held
   * @returns {boolean} whether there is room now
   */
  _shed(rank, room) {
    const spare = 1 - 1 / SHED_SHARE;
    const bytes = room - this._bytesMax / SHED_SHARE;
    const entries = Math.floor(this._entriesMax * spare);
    for (let lowest = 0; lowest <= rank; lowest++) {
      if (this.bytes <= bytes && this.count <= entries) break;
      if (this._counts[lowest] > 0) this._dropOf(lowest, bytes, entries);
    }
    return this.bytes <= room && this.count < this._entriesMax;
  }

  /**
   * @param {number} rank
   * @param {number} bytes
   * @param {number} entries
   */
  _dropOf(rank, bytes, entries) {
    let { count } = this;
    this._entries = this._entries.slice(this._first).filter((entry) => {
      const goes =
        entry.rank === rank && (this.bytes > bytes || count > entries);
      if (goes) {
        count--;
        this._counts[rank]--;
        this.bytes -= entry.text.length + ENTRY_COST;
        this._drop(entry);
      }
      return !goes;
    });
    this._first = 0;
  }
}

module.exports = { EntryBuffer };
