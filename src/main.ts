import { run } from './wiring/process';

run(process.env);
