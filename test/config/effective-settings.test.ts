import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadEffectiveSettings } from '../../src/config/effective-settings';
import { InvalidSettings } from '../../src/config/load-config';

const KEY = 'a key that is long enough for HS256';

const byName = (env: Record<string, string>) =>
  Object.fromEntries(loadEffectiveSettings(env).settings.map(({ name, ...setting }) => [name, setting]));

describe('the effective settings', () => {
  it('are those of the README, all of them', () => {
    const readme = readFileSync(join(__dirname, '../../README.md'), 'utf8');
    const table = /\| setting \| default[^]*?\n\n/.exec(readme)?.[0] ?? '';
    const documented = [...table.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(([, names = '']) =>
      [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name),
    );
    const effective = loadEffectiveSettings({}).settings.map(({ name }) => name);

    expect(documented.length).toBeGreaterThan(20);
    // NODE_ENV is not the service's alone.
    expect([...documented, 'NODE_ENV'].sort()).toEqual(effective);
  });

  it('say where each comes from', () => {
    const folder = mkdtempSync(join(tmpdir(), 'effective-'));
    writeFileSync(join(folder, 'key'), KEY);
    const settings = byName({
      PORT: '80',
      JWT_KEY_FILE: join(folder, 'key'),
      MONGO_URI: 'mongodb://db/orders',
    });
    rmSync(folder, { recursive: true });

    expect(settings).toMatchObject({
      PORT: { value: 80, from: 'environment' },
      SHUTDOWN_SECONDS: { value: 20, from: 'default' },
      JWT_KEY: { value: 'set', from: 'environment, as JWT_KEY_FILE' },
      JWT_KEY_PREVIOUS: { value: 'not set', from: 'default' },
      MONGO_URL: { value: 'set', from: 'environment, as MONGO_URI', server: 'mongodb://db/orders' },
      HOST: { value: 'all addresses', from: 'default' },
    });
    expect(byName({})['HOST']).toEqual({ value: '127.0.0.1', from: 'default' });
  });

  it.each([
    { MONGO_URL: 'mongodb://Qz7user:Qz7%40pass@db/orders?appName=Qz7' },
    { MONGO_URL: 'mongodb+srv://Qz7user:Qz7@db/orders?authMechanismProperties=Qz7:1' },
    { MONGO_URL: 'mongodb://db/orders', MONGO_USERNAME: 'Qz7user', MONGO_PASSWORD: 'Qz7' },
    { NATS_URL: 'nats://Qz7token@nats,nats://Qz7token@other' },
    { NATS_URL: 'nats://Qz7user:Qz7@nats' },
    { NATS_URL: 'nats://nats', NATS_USERNAME: 'Qz7user', NATS_PASSWORD: 'Qz7' },
    { JWT_KEY: `${KEY} Qz7`, JWT_KEY_PREVIOUS: 'Qz7' },
  ])('hold no part of a secret: %j', (env) => {
    const text = (() => {
      try {
        return JSON.stringify(loadEffectiveSettings({ JWT_KEY: KEY, ...env }));
      } catch (error) {
        return JSON.stringify((error as InvalidSettings).problems);
      }
    })();

    expect(text.length).toBeGreaterThan(20);
    expect(text).not.toMatch(/Qz7|long enough/);
  });

  it('name the servers of URLs with credentials', () => {
    const settings = byName({
      JWT_KEY: KEY,
      MONGO_URL: 'mongodb://u:p@db1:1,db2/orders?tls=true',
      NATS_URL: 'tls://u:p@nats',
    });

    expect(settings['MONGO_URL']).toMatchObject({ value: 'set', server: 'mongodb://db1:1,db2/orders' });
    expect(settings['NATS_URL']).toMatchObject({ value: 'set', server: 'tls://nats:4222' });
  });

  it('are refused with all problems, and have the warnings', () => {
    expect(() => loadEffectiveSettings({ PORT: 'x', HOST: '0.0.0.0' })).toThrow(InvalidSettings);
    expect(loadEffectiveSettings({ JWT_KEY: 'short' }).warnings).toEqual([
      expect.stringMatching(/^JWT_KEY is shorter/),
      expect.stringMatching(/IN MEMORY/),
    ]);
  });
});
