/** Prepares what is missing, then becomes the service: in the same process, so that signals reach it. */
import { build, install, requireNode } from './project.mjs';

requireNode();
install();
build(false);
import('../dist/main.js');
