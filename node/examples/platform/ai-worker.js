'use strict';

/** Analyses, shared out to workers in turn; it tells a bus of each. */
class AiWorker {
  /**
   * @param {import('node:events').EventEmitter} bus
   * @param {import('../../src/collectors/recursive-collectors.js').RecursiveCollectors} collectors
   */
  constructor(bus, collectors) {
    this._bus = bus;
    this._collector = collectors.startAIAnalysisCollector();
    this._count = 0;
    this.workers = ['gpu-1', 'gpu-2'];
    /** Those that take work and never answer. @type {Set<string>} */
    this.silent = new Set();
  }

  /**
   * @param {{type: string, text: string}} work
   */
  async analyse({ type, text }) {
    const worker = this.workers[this._count % this.workers.length];
    this._count += 1;
    const about = { analysis_id: `analysis-${this._count}`, worker };
    const start = { ...about, analysis_type: type, input_size: text.length };
    this._bus.emit('ai:analysis:start', start);
    if (this.silent.has(worker)) return { ...about, state: 'queued' };
    const score = await this._collector.python('score', async () => 0.5, about);
    this._bus.emit('ai:analysis:complete', { ...about, result_size: 3 });
    return { ...about, score };
  }
}

module.exports = { AiWorker };
