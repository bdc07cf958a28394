/** Prepares what is missing, then is the service: in this very process, so that signals reach it. */
import { build, install, requireNode } from './project.mjs';

requireNode();
install();
build(false);
import('../dist/main.js');
