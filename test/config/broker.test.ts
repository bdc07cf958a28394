import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { loadConfig } from '../../src/config/load-config';
import { makeCertificates, type Certificates } from '../support/certificates';
import { describeWith } from '../support/servers';
import { problemsOf } from './problems';

const JWT_KEY = 'k'.repeat(32);
const load = (NATS_URL: string, others = {}) => loadConfig({ JWT_KEY, NATS_URL, ...others }).nats;
const problems = (NATS_URL: string, others = {}) => problemsOf({ JWT_KEY, NATS_URL, ...others });

describe('NATS_URL', () => {
  it.each([
    ['nats://a', [{ url: 'nats://a:4222' }]],
    ['http://nats-srv', [{ url: 'nats://nats-srv:4222' }]],
    ['http://nats-srv:80/', [{ url: 'nats://nats-srv:80' }]],
    ['nats://a:4223, nats://b', [{ url: 'nats://a:4223' }, { url: 'nats://b:4222' }]],
    ['nats://u:p%40ss%2C@a', [{ url: 'nats://a:4222', login: { user: 'u', pass: 'p@ss,' } }]],
    ['nats://u:@a', [{ url: 'nats://a:4222', login: { user: 'u', pass: '' } }]],
    ['nats://t%25oken@a', [{ url: 'nats://a:4222', login: { token: 't%oken' } }]],
    ['tls://a', [{ url: 'tls://a:4222', tls: { host: 'a', servername: 'a' } }]],
    ['tls://10.0.0.1', [{ url: 'tls://10.0.0.1:4222', tls: { host: '10.0.0.1' } }]],
    [
      'nats://u:p@a,nats://u:p@b',
      [
        { url: 'nats://a:4222', login: { user: 'u', pass: 'p' } },
        { url: 'nats://b:4222', login: { user: 'u', pass: 'p' } },
      ],
    ],
  ])('names servers: %s', (url, servers) => {
    expect(load(url).servers).toEqual(servers);
    expect(load(url).url).toBe(servers.map((server) => server.url).join(','));
  });

  it.each([
    ['nonsense', /must be a URL such as nats:\/\/nats:4222$/],
    ['ftp://hunter2@a', /must be a URL such as/],
    ['https://a', /must be a URL such as/],
    ['nats://', /must be a URL such as/],
    ['nats://a,b', /must be a URL such as/],
    ['nats://u:hunter2,x@a', /must be percent-encoded/],
    ['nats://u:hunter 2@a', /must be percent-encoded/],
    ['nats://u:hunter2@2024/x@a', /must be percent-encoded/],
    ['nats://u:hun/ter2@a', /must be percent-encoded/],
    ['nats://u:hunter2%@a', /must be percent-encoded/],
    ['nats://:hunter2@a', /must be percent-encoded/],
    ['nats://@a', /must be percent-encoded/],
    ['nats://a:0', /has a port that is not between 1 and 65535/],
    ['nats://a:70000', /has a port that is not between 1 and 65535/],
    ['nats://a:port', /has a port that is not between 1 and 65535/],
    ['nats://u:hunter2@', /has no valid host/],
    ['nats://m%C3%BCnchen', /has no valid host/],
    ['nats://[::1]:4222', /has an IPv6 address/],
    ['nats://a:4222/path', /must end after the port/],
    ['nats://a:4222?tls=true', /must end after the port|has a port/],
    ['nats://u:hunter2@a,nats://b', /different credentials/],
    ['nats://a,nats://u:hunter2@b', /different credentials/],
    ['nats://u:hunter2@a,nats://u:hunter3@b', /different credentials/],
    ['tls://a,nats://b', /has servers with tls:\/\/ and others without/],
  ])('is refused, without a part of it in the words: %s', (url, problem) => {
    expect(problems(url)).toEqual([expect.stringMatching(/^NATS_URL: /)]);
    expect(problems(url).join()).toMatch(problem);
    expect(problems(url).join()).not.toMatch(/hun|ter2|2024|path|nchen/);
  });

  it('is taken whole or refused, whatever stands in its password, and no part of that is told', () => {
    const piece = fc.constantFrom('Qz7', 'xW9', ...'@/:?#%&=,;[] $+'.split(''), '%40', 'é');
    let taken = 0;
    let refused = 0;
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 6 }), (pieces) => {
        const pass = `Qz7${pieces.join('')}`;
        const found = problems(`nats://user:${pass}@a`);
        expect(found.join('\n')).not.toMatch(/Qz7|xW9/);
        if (found.length === 0) {
          taken += 1;
          const login = { user: 'user', pass: decodeURIComponent(pass) };
          expect(load(`nats://user:${pass}@a`).servers).toEqual([{ url: 'nats://a:4222', login }]);
        } else refused += 1;
        const own = load('nats://a', { NATS_USERNAME: 'user', NATS_PASSWORD: pass });
        expect(own.servers).toEqual([{ url: 'nats://a:4222', login: { user: 'user', pass } }]);
        expect(load(`nats://user:${encodeURIComponent(pass)}@a`).servers).toEqual(own.servers);
        expect(own.url).toBe('nats://a:4222');
      }),
    );
    expect(taken).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(0);
  });

  it.each([
    [
      { NATS_USERNAME: 'o', NATS_PASSWORD: 'hunter2', NATS_URL: 'nats://a:b@n' },
      /^NATS_USERNAME: NATS_URL holds a user/,
    ],
    [
      { NATS_USERNAME: 'o', NATS_PASSWORD: 'hunter2', NATS_URL: 'nats://token@n' },
      /^NATS_USERNAME: NATS_URL holds a user/,
    ],
    [{ NATS_USERNAME: 'o', NATS_URL: 'nats://n' }, /^NATS_PASSWORD: is required with NATS_USERNAME/],
    [{ NATS_PASSWORD: 'hunter2', NATS_URL: 'nats://n' }, /^NATS_USERNAME: is required with NATS_PASSWORD/],
    [{ NATS_USERNAME: 'o', NATS_PASSWORD: 'hunter2' }, /^NATS_URL: is required with NATS_USERNAME/],
    [{ NATS_CA_FILE: '/missing' }, /^NATS_URL: is required with NATS_CA_FILE|^NATS_CA_FILE/],
  ])('has both credentials beside it or none: %j', (env, problem) => {
    const found = problemsOf({ JWT_KEY, ...env });
    expect(found[0]).toMatch(problem);
    expect(found.join()).not.toContain('hunter2');
  });

  describeWith(['openssl'], 'with certificates', () => {
    let files: Certificates;
    beforeAll(() => {
      files = makeCertificates();
    });
    afterAll(() => files?.remove());

    it.each(['tls', 'nats', 'http'])('means encrypted with %s:// too', (scheme) => {
      const certificates = { NATS_CA_FILE: files.ca, NATS_CERT_FILE: files.cert, NATS_KEY_FILE: files.key };
      const [ca, cert, key] = [files.ca, files.cert, files.key].map((path) => readFileSync(path, 'utf8'));
      expect(load(`${scheme}://a`, certificates).servers).toEqual([
        { url: 'tls://a:4222', tls: { host: 'a', servername: 'a', ca, cert, key } },
      ]);
    });

    it.each([
      [
        'cannot be read',
        () => ({ NATS_CA_FILE: '/missing' }),
        /^NATS_CA_FILE: the file that it names cannot be read \(ENOENT\)$/,
      ],
      [
        'hold no certificate',
        () => ({ NATS_CA_FILE: files.nonsense }),
        /^NATS_CA_FILE: .* does not hold a certificate/,
      ],
      [
        'come without the key',
        () => ({ NATS_CERT_FILE: files.cert }),
        /^NATS_KEY_FILE: is required with NATS_CERT_FILE$/,
      ],
      [
        'come without the certificate',
        () => ({ NATS_KEY_FILE: files.key }),
        /^NATS_CERT_FILE: is required with NATS_KEY_FILE$/,
      ],
      [
        'do not belong together',
        () => ({ NATS_CERT_FILE: files.cert, NATS_KEY_FILE: files.otherKey }),
        /^NATS_KEY_FILE: is not the key of the certificate in NATS_CERT_FILE$/,
      ],
      [
        'have a password',
        () => ({ NATS_CERT_FILE: files.cert, NATS_KEY_FILE: files.encryptedKey }),
        /^NATS_KEY_FILE: .* does not hold a private key without a password in PEM$/,
      ],
    ])('is refused where they %s', (_, certificates, problem) => {
      expect(problems('tls://a', certificates())).toEqual([expect.stringMatching(problem)]);
    });
  });
});
