// Downloads mongod, if it was not before, and tells its parent where. A process of its own, so that a stalled download
// can be ended.
const { MongoBinary } = require('mongodb-memory-server-core/lib/util/MongoBinary');

MongoBinary.getPath()
  .then((path) => ({ path }))
  .catch((error) => ({
    missing: `no mongod: ${oneLine(error.message)} (put one on PATH, or its path into MONGOMS_SYSTEM_BINARY)`,
  }))
  .then((finding) => process.send(finding, () => process.disconnect()));

function oneLine(text) {
  return text.trim().replace(/\s+/g, ' ');
}
