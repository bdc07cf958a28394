import { httpScenarios } from './scenarios/http';
import { outageScenarios } from './scenarios/outage';
import type { Scenario } from './scenarios/scenario';

/** In the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [...httpScenarios, ...outageScenarios];
