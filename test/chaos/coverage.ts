import { TO_BE_MET as MET_BY_SIMULATION } from '../simulation/coverage';

/** What a simulation meets too and is called the same. */
const SHARED = /^(cell|message|refund): /;

/** Everything besides faults that a campaign has to meet: one that never meets it has not tried it. */
export const TO_BE_MET: readonly string[] = [
  ...MET_BY_SIMULATION.filter((what) => SHARED.test(what)),
  'answer: place 201',
  'answer: place 409',
  'answer: place 422',
  'answer: place 503',
  'answer: place none',
  'answer: cancel 204',
  'answer: cancel 409',
  'answer: cancel 503',
  'answer: cancel none',
  'answer: show 200',
  'answer: list 200',
  'message: payment:created park',
  'poison: ticket:created',
  'poison: ticket:updated',
  'poison: payment:created',
  'poison: expiration:complete',
];
