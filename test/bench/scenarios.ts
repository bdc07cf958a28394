import { httpScenarios } from './scenarios/http';
import type { Scenario } from './scenarios/scenario';

/** In the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [...httpScenarios];
