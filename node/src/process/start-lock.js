'use strict';

const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');

/**
 * Who may start the pipeline of a port: one process of this user at a time. The lock is a
 * socket that listens, so the kernel frees it however its holder ends. On Linux it has no
 * file (an abstract name, by network namespace as the port is).
 * @typedef {{release: () => Promise<void>}} StartLock
 */

/** @param {number} port */
function nameOf(port) {
  const user = process.getuid?.() ?? os.userInfo().username;
  const name = `recursive-log-system-${user}-${port}`;
  return process.platform === 'linux'
    ? `\0${name}`
    : path.join(os.tmpdir(), `${name}.lock`);
}

/**
 * Take the lock, or null while another has it. Rejects when locks can't be had at all.
 * @param {number} port
 * @returns {Promise<StartLock | null>}
 */
async function tryStartLock(port) {
  const name = nameOf(port);
  const lock = await listen(name);
  if (lock !== null || name.startsWith('\0')) return lock;
  if (await answers(name)) return null;
  // its holder was killed: the file has no listener. Renaming takes it from one only.
  const stale = `${name}.${process.pid}.${Date.now()}`;
  try {
    fs.renameSync(name, stale);
    fs.unlinkSync(stale);
  } catch (error) {
    return null;
  }
  return listen(name);
}

/**
 * @param {string} name
 * @returns {Promise<StartLock | null>}
 */
function listen(name) {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => socket.destroy());
    const release = () =>
      new Promise((/** @type {(value: void) => void} */ released) => {
        server.close(() => released());
      });
    server.on('error', (/** @type {NodeJS.ErrnoException} */ error) => {
      if (error.code === 'EADDRINUSE') resolve(null);
      else reject(error);
    });
    // exclusive: the workers of node:cluster would share it
    server.listen({ path: name, exclusive: true }, () => {
      server.unref();
      resolve({ release });
    });
  });
}

/**
 * @param {string} name
 * @returns {Promise<boolean>}
 */
function answers(name) {
  return new Promise((resolve) => {
    const socket = net.connect(name);
    socket.on('connect', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('close', () => socket.destroy());
  });
}

module.exports = { tryStartLock };
