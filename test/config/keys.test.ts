import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEVELOPMENT_JWT_KEY, loadConfig } from '../../src/config/load-config';
import { problemsOf } from './problems';

const KEY = 'k'.repeat(32);
const embedded = {};
const real = {
  'in production': { NODE_ENV: 'production', MONGO_URL: 'mongodb://db/orders', NATS_URL: 'nats://broker' },
  'with a database': { MONGO_URL: 'mongodb://db/orders' },
  'with a database under an old name': { MONGO_URI: 'mongodb://db/orders' },
  'with a broker': { NATS_URL: 'nats://broker' },
  'on all addresses': { HOST: '0.0.0.0' },
  'on all IPv6 addresses': { HOST: '::' },
  'on an address of the network': { HOST: '192.168.1.5' },
  'on a link-local address': { HOST: 'fe80::1%eth0' },
  'under a name': { HOST: 'orders.example.com' },
};
const alone = {
  'with nothing set': embedded,
  'on a loopback address': { HOST: '127.1.2.3' },
  'on the IPv6 loopback address': { HOST: '::1' },
  'on the loopback address in another form': { HOST: '0:0:0:0:0:0:0:1' },
  'on the mapped loopback address': { HOST: '::ffff:127.0.0.1' },
  'on localhost': { HOST: 'LocalHost' },
};

describe('the public development key', () => {
  it.each(Object.entries(real))('is refused %s, left out or written out', (_, env) => {
    expect(problemsOf(env)).toEqual([expect.stringMatching(/^JWT_KEY: is required because \S/)]);
    expect(problemsOf({ ...env, JWT_KEY: DEVELOPMENT_JWT_KEY })).toEqual([
      expect.stringMatching(/^JWT_KEY: is the public development key, which is refused because \S/),
    ]);
    expect(problemsOf({ ...env, JWT_KEY: KEY, JWT_KEY_PREVIOUS: DEVELOPMENT_JWT_KEY })).toEqual([
      expect.stringMatching(/^JWT_KEY_PREVIOUS: is the public development key/),
    ]);
    expect(problemsOf({ ...env, JWT_KEY: KEY })).toEqual([]);
  });

  it.each(Object.entries(alone))('is taken %s', (_, env) => {
    expect(loadConfig(env).jwt.key).toBe(DEVELOPMENT_JWT_KEY);
    expect(problemsOf({ ...env, JWT_KEY: DEVELOPMENT_JWT_KEY })).toEqual([]);
  });

  it('is the same with white space around it', () => {
    expect(problemsOf({ ...real['with a database'], JWT_KEY: ` ${DEVELOPMENT_JWT_KEY}\n` })).toEqual([
      expect.stringMatching(/^JWT_KEY: is the public development key/),
    ]);
  });

  it.each(['helm/values-development.yaml', 'compose.yaml'])(
    'of %s is a warning where everything else is real, and refused in production',
    (file) => {
      const text = readFileSync(join(__dirname, '../..', file), 'utf8');
      const [, JWT_KEY = ''] = /jwtKey: (.+)$|JWT_KEY:-([^}]+)}/m.exec(text)?.filter(Boolean) ?? [];
      expect(JWT_KEY).not.toBe('');
      const { warnings } = loadConfig({ ...real['in production'], NODE_ENV: 'development', JWT_KEY });
      expect(warnings).toEqual(['JWT_KEY is a public key of a development set-up: everyone knows it']);
      expect(problemsOf({ ...real['in production'], JWT_KEY })).toEqual([
        'JWT_KEY: is a public key of a development set-up; set one of your own',
      ]);
    },
  );
});
