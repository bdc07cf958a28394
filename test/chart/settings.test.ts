import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { loadConfig, type Config } from '../../src/config/load-config';
import { describeWith, serverBinary } from '../support/servers';
import { environmentOf, filesOf, render, type Rendered } from './helm';

/** Understood for the sake of others' manifests; the chart writes the names of today. */
const OLD_NAMES = ['MONGO_URI', 'MONGODB_URI', 'CLUSTER_ID', 'CLIENT_ID'];

/** Where the container listens is the chart's own business: at all interfaces, so that the Service reaches it. */
const NOT_THE_USERS = ['HOST'];

const GIVEN = {
  'auth.jwtKey': 'one key that is long enough for HS256',
  'auth.jwtKeyPrevious': 'another key that is long enough',
};
const EXTERNAL = {
  ...GIVEN,
  'mongodb.enabled': false,
  externalMongodb: { url: 'mongodb://db.example/orders', username: 'u@', password: 'p@ss/1 ' },
  'nats.enabled': false,
  externalNats: { url: 'nats://broker.example:4222', username: 'n@', password: 'q%ss ' },
};
const ENCRYPTED = {
  'externalNats.url': 'tls://broker.example:4222',
  'externalNats.tls': { caSecret: 'ca', caConfigMap: '', caKey: 'ca.crt', certSecret: 'cert' },
};

/** Every name that the service looks for in its environment. */
function namesOfSettings(): string[] {
  const names = new Set<string>();
  const environment = new Proxy<Record<string, string>>(
    {},
    {
      get(_, name) {
        names.add(String(name));
        return undefined;
      },
    },
  );
  loadConfig(environment);
  const old = OLD_NAMES.flatMap((name) => [name, `${name}_FILE`]);
  return [...names].filter((name) => !old.includes(name));
}

describeWith(['helm'], 'the settings of the service', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'secrets-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const rendered = (set: object) => render(serverBinary('helm'), { set });

  /** The settings that the service has there, with its files where they can be read. */
  function configOf(objects: readonly Rendered[]): Config {
    const files = filesOf(objects);
    const environment = Object.entries(environmentOf(objects)).map(([name, value]) => {
      const content = files[value];
      if (content === undefined) return [name, value] as const;
      const path = join(folder, basename(value));
      writeFileSync(path, content);
      return [name, path] as const;
    });
    return loadConfig(Object.fromEntries(environment));
  }

  it('can all be set through the chart, and the chart sets nothing else', () => {
    const namesIn = (set: object) => Object.keys(environmentOf(rendered(set)));
    const inChart = new Set(
      [{}, EXTERNAL, { ...EXTERNAL, ...ENCRYPTED, secretsAsFiles: true }].flatMap(namesIn),
    );
    inChart.delete('NODE_OPTIONS');

    const known = namesOfSettings();
    expect(known.length).toBeGreaterThan(20);
    expect([...inChart].filter((name) => !known.includes(name))).toEqual([]);
    expect(known.filter((name) => !inChart.has(name)).sort()).toEqual(NOT_THE_USERS);
  });

  it('are the same from files as from environment variables', () => {
    for (const set of [GIVEN, EXTERNAL]) {
      const objects = rendered({ ...set, secretsAsFiles: true });
      const secretNames = /^(JWT_KEY|JWT_KEY_PREVIOUS|(MONGO|NATS)_PASSWORD)$/;
      expect(Object.keys(environmentOf(objects)).filter((name) => secretNames.test(name))).toEqual([]);
      const fromFiles = configOf(objects);
      expect(fromFiles.jwt).toEqual({ key: GIVEN['auth.jwtKey'], previousKey: GIVEN['auth.jwtKeyPrevious'] });
      const fromEnvironment = configOf(rendered(set));
      // The chart's own MongoDB has another random password in each rendering.
      if (set === GIVEN) expect({ ...fromFiles, mongoUrl: 0 }).toEqual({ ...fromEnvironment, mongoUrl: 0 });
      else expect(fromFiles).toEqual(fromEnvironment);
    }
  });

  it('hold the credentials of external servers as they are given', () => {
    expect(configOf(rendered(EXTERNAL)).mongoUrl).toBe('mongodb://u%40:p%40ss%2F1%20@db.example/orders');
  });

  it('name no file that a secret of somebody else may lack', () => {
    const files = (set: object) =>
      Object.keys(environmentOf(rendered({ ...set, secretsAsFiles: true }))).filter((name) =>
        /_FILE$/.test(name),
      );
    expect(files({ 'auth.existingSecret': 'jwt' })).not.toContain('JWT_KEY_PREVIOUS_FILE');
    expect(files({ 'auth.existingSecret': 'jwt', 'auth.existingSecretPreviousKey': 'old' })).toContain(
      'JWT_KEY_PREVIOUS_FILE',
    );
  });

  it('are what the smoke test is told too, as a peer of the service', () => {
    const set = { ...EXTERNAL, ...ENCRYPTED };
    for (const secretsAsFiles of [false, true]) {
      const objects = rendered({ ...set, secretsAsFiles });
      const { NODE_OPTIONS: _, ...ofService } = environmentOf(objects);
      const ofPeer = Object.entries(ofService).filter(([name]) =>
        /^NATS_(?!CLIENT)|^JWT_KEY(_FILE)?$/.test(name),
      );
      expect(ofPeer.length).toBeGreaterThan(7);
      expect(environmentOf(objects, 'Pod')).toEqual({
        ...Object.fromEntries(ofPeer),
        ORDERS_URL: 'http://orders-order-service:3000/api/v1/orders',
        DEADLINE_SECONDS: '120',
      });
      const paths = Object.values(environmentOf(objects, 'Pod')).filter((value) => value.startsWith('/run/'));
      expect(Object.keys(filesOf(objects, 'Pod')).sort()).toEqual(paths.sort());
    }
  });
});
