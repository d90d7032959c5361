'use strict';

/**
 * Bodies as they are logged with `capture_body`: text, redacted, cut at 4 KiB.
 *
 * @module
 */

const { cutBytes } = require('./redact.js');

/** What one body takes of an entry. */
const LOGGED_BYTES = 4096;

/** What is kept to be read: of a body that is cut here, keys can't be told any more. */
const KEPT_BYTES = 64 * 1024;

const TEXT =
  /^(?:text\/|application\/(?:[\w.-]+\+)?(?:json|xml)|application\/x-www-form-urlencoded|application\/x-ndjson|application\/graphql)/i;

/** The beginning of a body, as it passes by. */
class BodyCapture {
  constructor() {
    /** @type {Buffer[]} */
    this._parts = [];
    this._kept = 0;
    this.bytes = 0;
  }

  /** @returns {boolean} whether all of it was kept */
  get isWhole() {
    return this.bytes === this._kept;
  }

  /**
   * @param {unknown} chunk text or bytes; the host's own bytes are copied
   * @param {unknown} encoding
   */
  add(chunk, encoding) {
    if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) return;
    const bytes =
      typeof chunk === 'string'
        ? Buffer.from(
            chunk,
            /** @type {BufferEncoding} */ (
              typeof encoding === 'string' ? encoding : 'utf8'
            ),
          )
        : chunk;
    this.bytes += bytes.length;
    const room = KEPT_BYTES - this._kept;
    if (room <= 0) return;
    const part = Buffer.from(bytes.subarray(0, room));
    this._parts.push(part);
    this._kept += part.length;
  }

  toString() {
    return Buffer.concat(this._parts).toString('utf8');
  }
}

/**
 * The text of a body for an entry.
 * @param {import('./redact.js').Redactor} redactor
 * @param {BodyCapture | undefined} capture
 * @param {Record<string, unknown>} headers
 * @param {unknown} [parsed] what a parser of the host has made of it
 * @returns {string | undefined} undefined when there is none
 */
function bodyText(redactor, capture, headers, parsed) {
  if (capture === undefined || capture.bytes === 0) return undefined;
  const type = String(headers['content-type'] ?? '');
  if (
    headers['content-encoding'] !== undefined ||
    (type !== '' && !TEXT.test(type))
  ) {
    return `[${capture.bytes} bytes${type === '' ? '' : ` of ${type.slice(0, 100)}`}]`;
  }
  const fields = fieldsOf(capture, type, parsed);
  const text =
    fields === undefined
      ? redactor.text(capture.toString(), KEPT_BYTES)
      : JSON.stringify(redactor.value(fields, LOGGED_BYTES * 2));
  return cutBytes(text, LOGGED_BYTES);
}

/**
 * A body as fields, whose names tell secrets; undefined when it is but text.
 * @param {BodyCapture} capture
 * @param {string} type
 * @param {unknown} parsed
 * @returns {unknown}
 */
function fieldsOf(capture, type, parsed) {
  if (
    typeof parsed === 'object' &&
    parsed !== null &&
    !Buffer.isBuffer(parsed)
  ) {
    return parsed;
  }
  if (!capture.isWhole) return undefined;
  const text = capture.toString();
  if (/^application\/x-www-form-urlencoded/i.test(type)) {
    return Object.fromEntries(new URLSearchParams(text));
  }
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

module.exports = { BodyCapture, LOGGED_BYTES, bodyText };
