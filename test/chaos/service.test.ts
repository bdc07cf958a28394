import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const ENTRY_POINT = join(__dirname, 'service/main.ts');

describe('the service as a campaign runs it', () => {
  it('refuses production, before it does anything else', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--require', 'tsx/cjs', ENTRY_POINT], {
      env: { PATH: process.env['PATH'], NODE_ENV: 'production' },
      encoding: 'utf8',
    });

    expect({ status, stdout, stderr }).toEqual({
      status: 1,
      stdout: '',
      stderr: 'This build has crash points: it is refused in production.\n',
    });
  });
});
