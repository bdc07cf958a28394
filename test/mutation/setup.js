// A property that fails has found the mutant: looking for its smallest example would only take time.
const { configureGlobal } = require('fast-check');

configureGlobal({ endOnFailure: true });
