#!/usr/bin/env node
import { createProgram } from '../commands/program';
import { runProgram } from '../commands/run';
import { createCommandContext } from '../wiring/operator';

const { context, close } = createCommandContext(process.env);

void runProgram(createProgram(context), process.argv.slice(2), context.output).then(async (exitCode) => {
  await close();
  // Not `process.exit`: what was printed into a pipe must be written first, and `serve` runs on.
  process.exitCode = exitCode;
});
