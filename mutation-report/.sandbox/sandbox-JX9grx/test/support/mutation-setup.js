// A property that fails has told that the mutant is found: looking for the smallest example would take its time.
const { configureGlobal } = require('fast-check');

configureGlobal({ endOnFailure: true });
