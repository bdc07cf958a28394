import fc from 'fast-check';
import { loadConfig } from '../../src/config/load-config';
import { makeCertificates, type Certificates } from '../support/certificates';
import { describeWith } from '../support/servers';
import { problemsOf } from './problems';

const JWT_KEY = 'k'.repeat(32);
const DATABASE = 'mongodb://db:27017/orders';
const load = (MONGO_URL: string, others = {}) =>
  loadConfig({ JWT_KEY, NATS_URL: 'nats://n', MONGO_URL, ...others });
const problems = (MONGO_URL: string, others = {}) => problemsOf({ JWT_KEY, MONGO_URL, ...others });

describe('MONGO_URL', () => {
  it.each([
    DATABASE,
    'mongodb://db/orders',
    'mongodb://u:p%40%2F%25@a:1,b:65535,[::1]:3/orders?replicaSet=rs0&authSource=admin',
    'mongodb://%2Ftmp%2Fmongodb-27017.sock/orders',
    'mongodb+srv://u:p@cluster0.example.com/orders?retryWrites=true&appName=Cluster0',
    'mongodb://db/orders?retryWrites=false&directConnection=true&compressors=zlib',
  ])('is taken as it is where nothing is wrong: %s', (url) => {
    expect(load(url)).toMatchObject({ mongoUrl: url, warnings: [] });
  });

  it.each([
    ['mongodb://user:hunter2@/orders', /must be a URL that begins/],
    ['mongodb:///orders', /must be a URL that begins/],
    ['mongodb://', /must be a URL that begins/],
    ['postgres://user:hunter2@db/orders', /must be a URL that begins/],
    ['mongodb://user:hunter2@db/orders\n', /holds a space or a line break/],
    ['mongodb://user:hunter 2@db/orders', /holds a space or a line break/],
    ['mongodb://u:hunter2@2024/x@host/db', /must be percent-encoded/],
    ['mongodb://u:hunter2@2024@host/db', /must be percent-encoded/],
    ['mongodb://u:hun/ter2@host/db', /must be percent-encoded/],
    ['mongodb://u:hun?ter2@host/db', /must be percent-encoded/],
    ['mongodb://u:hun#ter2@host/db', /must be percent-encoded/],
    ['mongodb://u:hun:ter2@host/db', /must be percent-encoded/],
    ['mongodb://u:hunter2%@host/db', /must be percent-encoded/],
    ['mongodb://u:hunter2%ff@host/db', /must be percent-encoded/],
    ['mongodb://:hunter2@host/db', /must be percent-encoded|user/],
    ['mongodb://hunter2@host/db', /holds a user without a password/],
    ['mongodb://db:0/orders', /has a port that is not between 1 and 65535/],
    ['mongodb://db:65536/orders', /has a port that is not between 1 and 65535/],
    ['mongodb://db:port/orders', /has an invalid host/],
    ['mongodb://a,,b/orders', /has an invalid host/],
    ['mongodb://[::1/orders', /has an invalid host/],
    ['mongodb+srv://db.example.com:27017/orders', /takes one host name without a port/],
    ['mongodb+srv://a.example.com,b.example.com/orders', /takes one host name without a port/],
    ['mongodb://db', /must name the database, as in mongodb:\/\/HOST:27017\/orders/],
    ['mongodb://db/', /must name the database, as in mongodb:\/\/HOST:27017\/orders/],
    ['mongodb://db/?replicaSet=rs0', /must name the database, as in mongodb:\/\/HOST:27017\/orders/],
    ['mongodb://db/orders/more', /must have a valid database name and nothing else/],
    ['mongodb://db/or$ders', /must have a valid database name and nothing else/],
    ['mongodb://u:p@db/admin', /must name a database only for this service/],
    ['mongodb://u:p@db/local', /must name a database only for this service/],
    ['mongodb://db/orders%', /holds a % that begins no/],
    ['mongodb://db/orders?appName=%zz', /holds a % that begins no/],
    ['mongodb://db/orders#1', /holds a #/],
    ['mongodb://db/orders?retryWrite=true', /has an option that is not known or not supported: retryWrite$/],
    ['mongodb://db/orders?raw=true', /not known or not supported: raw$/],
    ['mongodb://db/orders?promoteValues=false', /not known or not supported: promoteValues$/],
    ['mongodb://db/orders?proxyHost=p', /not known or not supported: proxyHost$/],
    ['mongodb://db/orders?appName=a&appname=b', /has the option appName more than once/],
    ['mongodb://db/orders?appName=', /has the option appName without a value/],
    ['mongodb://db/orders?appName', /not known or not supported: number 1|without a value/],
    ['mongodb://db/orders?retryWrites=yes', /options that the driver does not accept.*: retryWrites$/],
    ['mongodb://db/orders?maxPoolSize=many', /options that the driver does not accept.*: maxPoolSize$/],
    [
      'mongodb://db/orders?retryWrites=yes&tls=1',
      /options that the driver does not accept.*: retryWrites, tls$/,
    ],
    ['mongodb://db/orders?tls=true&ssl=false', /options that the driver does not accept.*: tls, ssl$/],
    [
      'mongodb://a,b/orders?directConnection=true',
      /options that the driver does not accept.*: directConnection$/,
    ],
    ['mongodb://db/orders?srvMaxHosts=1', /options that the driver does not accept.*: srvMaxHosts$/],
    [
      'mongodb://u:p@db/orders?authMechanism=nonsense',
      /options that the driver does not accept.*: authMechanism$/,
    ],
    ['mongodb://u:p@db/orders?authMechanism=GSSAPI', /has a value of authMechanism that is not supported/],
    ['mongodb://db/orders?compressors=zlib,snappy', /has a value of compressors that is not supported/],
    ['mongodb://db/orders?tlsCAFile=/missing', /has tlsCAFile without tls=true/],
    ['mongodb://db/orders?tls=false&tlsInsecure=true', /has tlsInsecure without tls=true/],
    ['mongodb://db/orders?tls=true&tlsCAFile=/missing', /names a tlsCAFile that cannot be read \(ENOENT\)/],
  ])('is refused, without a part of it in the words: %s', (url, problem) => {
    const found = problems(url);
    expect(found).toEqual(expect.arrayContaining([expect.stringMatching(/^MONGO_URL: /)]));
    expect(found.join('\n')).toMatch(problem);
    expect(found.join('\n')).not.toMatch(/hun|ter2|2024|host\/db|missing|many|nonsense/);
  });

  it('names no option that could be a part of a secret', () => {
    const tls = 'mongodb://db/orders?tls=true&tlsCertificateKeyFilePassword=a&hunter=2';
    expect(problems(tls)).toEqual([expect.stringMatching(/not supported: number 3 after the \?$/)]);
  });

  it('is taken whole or refused, whatever stands in its password, and no part of that is told', () => {
    const piece = fc.constantFrom('Qz7', 'xW9', ...'@/:?#%&=,;[] $+'.split(''), '%40', 'é');
    let taken = 0;
    let refused = 0;
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 6 }), (pieces) => {
        const password = `Qz7${pieces.join('')}`;
        const url = (written: string) => `mongodb://user:${written}@db:27017/orders`;
        const found = problems(url(password));
        expect(found.join('\n')).not.toMatch(/Qz7|xW9/);
        if (found.length === 0) {
          taken += 1;
          expect(load(url(password)).mongoUrl).toBe(url(password));
        } else refused += 1;
        const own = load(DATABASE, { MONGO_USERNAME: 'user', MONGO_PASSWORD: password }).mongoUrl;
        expect(own).toBe(url(encodeURIComponent(password)));
        expect(load(url(encodeURIComponent(password))).mongoUrl).toBe(own);
      }),
    );
    expect(taken).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(0);
  });

  it('is freed of the options that would break a promise, and says so', () => {
    const { mongoUrl, warnings } = load(
      `${DATABASE}?w=1&appName=a&journal=false&readPreference=secondary&readPreferenceTags=dc:a&readPreferenceTags=` +
        'dc:b&maxStalenessSeconds=100&readConcernLevel=available&wtimeoutMS=1&maxPoolSize=1&minPoolSize=1&' +
        'connectTimeoutMS=1&serverSelectionTimeoutMS=1&socketTimeoutMS=1&timeoutMS=1&waitQueueTimeoutMS=1&' +
        'heartbeatFrequencyMS=100000&serverMonitoringMode=poll&retryWrites=false',
    );
    expect(mongoUrl).toBe(`${DATABASE}?appName=a&retryWrites=false`);
    expect(warnings).toEqual([expect.stringMatching(/^MONGO_URL: ignored, .*: w, journal, readPref/)]);
  });

  it('may say what is done anyway', () => {
    const url = `${DATABASE}?retryWrites=true&w=majority&journal=true&readPreference=primary`;
    expect(load(url)).toMatchObject({ mongoUrl: `${DATABASE}?retryWrites=true`, warnings: [] });
  });

  describeWith(['openssl'], 'with certificates', () => {
    let files: Certificates;
    beforeAll(() => {
      files = makeCertificates();
    });
    afterAll(() => files?.remove());

    const tls = (options: string) => `${DATABASE}?tls=true&${options}`;

    it('is taken where they can be read', () => {
      const url = tls(`tlsCAFile=${encodeURIComponent(files.ca)}&tlsCertificateKeyFile=${files.certAndKey}`);
      expect(load(url)).toMatchObject({ mongoUrl: url, warnings: [] });
      expect(load(tls('tlsAllowInvalidHostnames=true')).warnings).toEqual([
        'MONGO_URL: tlsAllowInvalidHostnames: server identity not verified',
      ]);
    });

    it('is refused where they hold something else', () => {
      for (const name of ['tlsCAFile', 'tlsCertificateKeyFile', 'tlsCRLFile']) {
        expect(problems(tls(`${name}=${files.nonsense}`))).toEqual([
          expect.stringMatching(new RegExp(`^MONGO_URL: names a ${name} that does not hold`)),
        ]);
      }
    });
  });

  it.each([
    [
      { MONGO_USERNAME: 'o', MONGO_PASSWORD: 'hunter2', MONGO_URL: 'mongodb://a:b@db/o' },
      /^MONGO_USERNAME: MONGO_URL holds a user/,
    ],
    [{ MONGO_USERNAME: 'o', MONGO_URL: DATABASE }, /^MONGO_PASSWORD: is required with MONGO_USERNAME/],
    [{ MONGO_PASSWORD: 'hunter2', MONGO_URL: DATABASE }, /^MONGO_USERNAME: is required with MONGO_PASSWORD/],
    [{ MONGO_USERNAME: 'o', MONGO_PASSWORD: 'hunter2' }, /^MONGO_URL: is required with MONGO_USERNAME/],
  ])('has both credentials beside it or none: %j', (env, problem) => {
    expect(problemsOf({ JWT_KEY, ...env })).toEqual([expect.stringMatching(problem)]);
  });
});
