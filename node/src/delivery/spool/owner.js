'use strict';

/**
 * Whose spool it is: the name of a file says it, and renaming that file takes it over.
 *
 * Node has no flock. A rename succeeds for one only, for the old name is gone then; and
 * the owner is known to be dead when no process of its number and start time runs.
 * Across containers that can't be seen: there a file that nobody has touched for a
 * minute has no owner any more.
 *
 * @module
 */

const fs = require('node:fs');
const path = require('node:path');
const { threadId } = require('node:worker_threads');

/** Owners touch their file so often. */
const TOUCH_MS = 15_000;
/** A file that was not touched for so long has no owner. */
const STALE_MS = 60_000;

const NAME = /^([0-9a-f]{32})\.(free|[\w-]+)\.owner$/;
const FREE = 'free';

/**
 * When a process started, by the system's own count; '' where that can't be known.
 * @param {number | 'self'} pid
 */
function startOf(pid) {
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    // the name stands in brackets and may hold anything
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch (error) {
    return '';
  }
}

/** Which kernel and which process numbers: within it, a pid and its start are one process. */
function world() {
  try {
    const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1');
    const [namespace] = /\d+/.exec(fs.readlinkSync('/proc/self/ns/pid')) ?? [];
    return `${boot.slice(0, 8)}_${namespace}`;
  } catch (error) {
    return process.platform;
  }
}

const WORLD = world();
/** This thread of this process. */
const SELF = `${WORLD}-${process.pid}-${startOf('self')}-${threadId}`;

/**
 * Whether an owner is known to be gone.
 * @param {string} owner
 * @param {number} silentMs since its file was touched
 */
function isGone(owner, silentMs) {
  if (owner === FREE || silentMs > STALE_MS) return true;
  if (owner === SELF) return false;
  const [where, pid, start] = owner.split('-');
  if (where !== WORLD) return false;
  if (start !== '') return startOf(Number(pid)) !== start;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'ESRCH';
  }
}

/** The right to one producer's spool. */
class Ownership {
  /**
   * @param {string} folder
   * @param {string} producer
   */
  constructor(folder, producer) {
    this._folder = folder;
    this._producer = producer;
    this._name = SELF;
    /** @type {NodeJS.Timeout | null} */
    this._timer = null;
  }

  /** Claims a spool that is new. */
  create() {
    fs.writeFileSync(this._path(), '', { mode: 0o600 });
    this._keep();
  }

  /**
   * Takes over what nobody owns; whether it was this process that did.
   * @param {string} owner as `abandoned` gave it
   */
  claim(owner) {
    try {
      fs.renameSync(this._path(owner), this._path());
    } catch (error) {
      return false; // another one was faster
    }
    this._touch();
    this._keep();
    return true;
  }

  /** Leaves it to the next one. */
  leave() {
    this._stop();
    try {
      fs.renameSync(this._path(), this._path(FREE));
    } catch (error) {
      return; // the folder is gone, or was never made
    }
  }

  /** There is nothing left to own. */
  end() {
    this._stop();
    fs.rmSync(this._path(), { force: true });
  }

  /** @param {string} [owner] */
  _path(owner = this._name) {
    return path.join(this._folder, `${this._producer}.${owner}.owner`);
  }

  _keep() {
    this._timer = setInterval(() => this._touch(), TOUCH_MS);
    this._timer.unref();
  }

  _stop() {
    if (this._timer !== null) clearInterval(this._timer);
    this._timer = null;
  }

  _touch() {
    const now = new Date();
    fs.utimes(this._path(), now, now, () => {});
  }
}

/**
 * Spools in a folder whose owners are gone.
 * @param {string} folder
 * @param {number} now milliseconds since 1970
 * @returns {Array<{producer: string, owner: string}>}
 */
function abandoned(folder, now) {
  const found = [];
  for (const name of listed(folder)) {
    const [, producer, owner] = NAME.exec(name) ?? [];
    if (!owner) continue;
    const file = fs.statSync(path.join(folder, name), {
      throwIfNoEntry: false,
    });
    if (file && isGone(owner, now - file.mtimeMs)) {
      found.push({ producer, owner });
    }
  }
  return found;
}

/** @param {string} folder */
function listed(folder) {
  try {
    return fs.readdirSync(folder);
  } catch (error) {
    return []; // not there yet
  }
}

module.exports = { Ownership, abandoned, listed };
