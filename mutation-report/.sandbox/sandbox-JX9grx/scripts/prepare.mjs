/** `prepare.mjs` installs and builds what is missing; `prepare.mjs install` only installs; `rebuild` always builds. */
import { build, install, requireNode } from './project.mjs';

const goal = process.argv[2];
requireNode();
install();
if (goal !== 'install') build(goal === 'rebuild');
