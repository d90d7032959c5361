export { default } from './ai-analysis-collector.js';
export {
  AIAnalysisCollector,
} from './ai-analysis-collector.js';
