#!/usr/bin/env node
/** The command line from a clone: prepares what is missing, then becomes it, in the same process. */
import { build, install, requireNode } from './project.mjs';

requireNode();
install();
build(false);
import('../dist/bin/order-service.js');
