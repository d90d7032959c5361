'use strict';

const fs = require('node:fs');

/**
 * Writes a new file as a whole, or leaves none: the disk may be full after half of it.
 * @param {string} file
 * @param {Buffer} bytes
 * @param {boolean} isSynced
 */
function writeNewSync(file, bytes, isSynced) {
  const descriptor = fs.openSync(file, 'wx', 0o600);
  try {
    let written = 0;
    while (written < bytes.length) {
      written += fs.writeSync(descriptor, bytes, written);
    }
    if (isSynced) fs.fsyncSync(descriptor);
  } catch (error) {
    fs.rmSync(file, { force: true });
    throw error;
  } finally {
    fs.closeSync(descriptor);
  }
}

/** @param {string} folder whose new names are to last */
function syncFolderSync(folder) {
  const descriptor = fs.openSync(folder, 'r');
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** @param {string} folder */
async function syncFolder(folder) {
  const handle = await fs.promises.open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}

module.exports = { syncFolder, syncFolderSync, writeNewSync };
