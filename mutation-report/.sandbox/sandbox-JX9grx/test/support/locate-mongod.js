// Finds or downloads mongod and tells its parent where. A process of its own, so that a stalled download can be ended.
const { spawnSync } = require('node:child_process');
const { MongoBinary } = require('mongodb-memory-server-core/lib/util/MongoBinary');

MongoBinary.getPath()
  .then((path) => {
    const { status, stderr, error } = spawnSync(path, ['--version'], { encoding: 'utf8' });
    if (status === 0) return { path };
    return {
      missing: `${path} does not run: ${oneLine(error?.message || stderr || `exit status ${status}`)}`,
    };
  })
  .catch((error) => ({ missing: `no mongod: ${oneLine(error.message)} (set MONGOMS_SYSTEM_BINARY)` }))
  .then((finding) => process.send(finding, () => process.disconnect()));

function oneLine(text) {
  return text.trim().replace(/\s+/g, ' ');
}
