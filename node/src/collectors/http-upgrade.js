'use strict';

/**
 * The answer to a request for an upgrade: it is written to the socket as it stands.
 *
 * @module
 */

const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})/;

/**
 * Tell the status of the first answer that is written to a socket.
 * @param {import('node:net').Socket} socket
 * @param {(status: number) => void} answered called once; 0 when it was closed before
 */
function followHandshake(socket, answered) {
  const { write, end } = socket;
  let isDone = false;
  /** @param {unknown} chunk */
  const see = (chunk) => {
    if (isDone) return;
    isDone = true;
    socket.write = write;
    socket.end = end;
    socket.off('close', gone);
    answered(statusOf(chunk));
  };
  const gone = () => see('');
  socket.write = function (...values) {
    see(values[0]);
    return write.apply(this, /** @type {any} */ (values));
  };
  socket.end = function (...values) {
    see(values[0]);
    return end.apply(this, /** @type {any} */ (values));
  };
  socket.once('close', gone);
}

/**
 * @param {unknown} chunk
 * @returns {number}
 */
function statusOf(chunk) {
  const head =
    typeof chunk === 'string'
      ? chunk.slice(0, 16)
      : chunk instanceof Uint8Array
        ? Buffer.from(chunk.subarray(0, 16)).toString('latin1')
        : '';
  return Number(STATUS_LINE.exec(head)?.[1] ?? 0);
}

module.exports = { followHandshake };
