import { TO_BE_MET as MET_BY_SIMULATION } from '../simulation/coverage';
import { HEARD } from './history';

/** What a simulation meets too and is called the same. */
const SHARED = /^(cell|message|refund): /;

/** Everything besides faults that a campaign has to meet: one that never meets it has not tried it. */
export const TO_BE_MET: readonly string[] = [
  ...MET_BY_SIMULATION.filter((what) => SHARED.test(what)),
  ...['201', '409', '422', '503', 'none'].map((answer) => `answer: place ${answer}`),
  ...['204', '409', '503', 'none'].map((answer) => `answer: cancel ${answer}`),
  ...['answer: show 200', 'answer: list 200', 'message: payment:created park'],
  ...HEARD.map((subject) => `poison: ${subject}`),
];
