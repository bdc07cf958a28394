import { eventsInScenarios } from './scenarios/events-in';
import { httpScenarios } from './scenarios/http';
import { largeScenarios } from './scenarios/large';
import { outageScenarios } from './scenarios/outage';
import { processScenarios } from './scenarios/process';
import type { Scenario } from './scenarios/scenario';

/** In the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [
  ...httpScenarios,
  ...outageScenarios,
  ...eventsInScenarios,
  ...processScenarios,
  ...largeScenarios,
];
