'use strict';

/**
 * What goes wrong on this side; `code` is for programs, the message for people.
 * Errors of a call are those of utils/json-rpc-client.js.
 */
class LogSystemError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{cause?: unknown}} [options]
   */
  constructor(code, message, options) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The configuration can't be used: which key or file, the problem, what would be right. */
class ConfigError extends LogSystemError {
  /**
   * @param {string} where
   * @param {string} problem
   * @param {string} expected
   */
  constructor(where, problem, expected) {
    super(
      'LOG_SYSTEM_CONFIG',
      `${where}: ${problem}; it should be ${expected}`,
    );
    this.where = where;
    this.problem = problem;
    this.expected = expected;
  }
}

/** A question that was asked before `start()` had ended, or while the pipeline is away. */
class NotReadyError extends LogSystemError {
  constructor() {
    super('LOG_SYSTEM_NOT_READY', 'Log system not ready');
  }
}

/** The pipeline could not be started or reached; `lastWords` are its last lines. */
class StartError extends LogSystemError {
  /**
   * @param {string} message
   * @param {{cause?: unknown, lastWords?: readonly string[]}} [options]
   */
  constructor(message, options = {}) {
    super('LOG_SYSTEM_START', message, options);
    this.lastWords = options.lastWords ?? [];
  }
}

/** Something else listens at the address of the gateway. */
class AddressTakenError extends LogSystemError {
  /**
   * @param {string} url
   * @param {string} found
   */
  constructor(url, found) {
    const remedy = 'stop it, or give the log system another server.port';
    super(
      'LOG_SYSTEM_ADDRESS_TAKEN',
      `${url} is taken by something else (${found}): ${remedy}`,
    );
  }
}

/** No Python on this machine has the pipeline installed. */
class PythonMissingError extends LogSystemError {
  /**
   * @param {readonly string[]} tried each interpreter with what became of it
   * @param {string} install the line that helps
   */
  constructor(tried, install) {
    super(
      'LOG_SYSTEM_PYTHON',
      `no Python with the log pipeline: ${tried.join('; ')}. Install it: ${install}`,
    );
    this.tried = tried;
    this.install = install;
  }
}

/** `stop()` was called while `start()` was waiting. */
class StoppedError extends LogSystemError {
  constructor() {
    super('LOG_SYSTEM_STOPPED', 'Log system was stopped while it started');
  }
}

module.exports = {
  AddressTakenError,
  ConfigError,
  LogSystemError,
  NotReadyError,
  PythonMissingError,
  StartError,
  StoppedError,
};
