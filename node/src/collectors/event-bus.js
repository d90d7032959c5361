'use strict';

/**
 * The bus that collectors listen to when none is given.
 *
 * @module
 */

const { EventEmitter } = require('node:events');

/** One per process, however many copies of this package are loaded. */
const OWN_BUS = Symbol.for('@recursive/log-system.eventBus');

/**
 * @typedef {object} EventBus
 * @property {(event: string, listener: (...values: any[]) => void) => unknown} on
 * @property {(event: string, listener: (...values: any[]) => void) => unknown} [off]
 * @property {(event: string, listener: (...values: any[]) => void) => unknown} [removeListener]
 */

/**
 * A bus of this package, for programs without `@recursive/shared`.
 * @returns {EventEmitter}
 */
function ownBus() {
  const shared = /** @type {Record<symbol, EventEmitter | undefined>} */ (
    /** @type {unknown} */ (globalThis)
  );
  return (shared[OWN_BUS] ??= new EventEmitter().setMaxListeners(0));
}

/**
 * The bus to listen to: the one given, `eventBus` of `@recursive/shared` where that is
 * installed, or one of this process.
 * @param {unknown} [given]
 * @param {(name: string) => any} [load]
 * @returns {EventBus}
 * @throws {TypeError} when the given one has no `on`
 */
function findEventBus(given, load = require) {
  if (given !== undefined && given !== null) {
    if (isBus(given)) return given;
    throw new TypeError(
      `eventBus: has no method on(event, listener); expected an EventEmitter, not ${typeof given}`,
    );
  }
  return sharedBus(load) ?? ownBus();
}

/**
 * @param {(name: string) => any} load
 * @returns {EventBus | undefined}
 */
function sharedBus(load) {
  let shared;
  try {
    shared = load('@recursive/shared');
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (
      code !== 'MODULE_NOT_FOUND' &&
      code !== 'ERR_PACKAGE_PATH_NOT_EXPORTED'
    ) {
      process.emitWarning(`@recursive/shared could not be loaded: ${error}`, {
        type: 'LogSystemWarning',
      });
    }
    return undefined;
  }
  return [shared?.eventBus, shared?.default?.eventBus, shared?.default].find(
    isBus,
  );
}

/**
 * @param {any} value
 * @returns {value is EventBus}
 */
function isBus(value) {
  return typeof value?.on === 'function';
}

module.exports = { findEventBus, ownBus };
