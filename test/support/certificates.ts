import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serverBinary } from './servers';

export interface Certificates {
  /** Paths of PEM files. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly encryptedKey: string;
  /** One that signed nothing of these. */
  readonly otherCa: string;
  readonly otherKey: string;
  /** A certificate and its key in one file. */
  readonly certAndKey: string;
  /** A text file that holds no certificate. */
  readonly nonsense: string;
  remove(): void;
}

/** A CA and a certificate of it for `127.0.0.1`, and not for `localhost`; a server or a client may show it. */
export function makeCertificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'certificates-'));
  const path = (name: string) => join(folder, name);
  const openssl = (...args: string[]) =>
    execFileSync(serverBinary('openssl'), args, { encoding: 'utf8', stdio: 'pipe' });
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  for (const ca of ['ca', 'otherCa']) {
    openssl(
      'req',
      '-x509',
      ...ec,
      '-keyout',
      path(`${ca}.key`),
      '-out',
      path(ca),
      '-days',
      '2',
      '-subj',
      `/CN=${ca}`,
    );
  }
  openssl('req', ...ec, '-keyout', path('key'), '-out', path('request'), '-subj', '/CN=broker');
  writeFileSync(path('extensions'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n');
  const signed = ['-CA', path('ca'), '-CAkey', path('ca.key'), '-CAcreateserial', '-days', '2'];
  openssl(
    'x509',
    '-req',
    '-in',
    path('request'),
    ...signed,
    '-extfile',
    path('extensions'),
    '-out',
    path('cert'),
  );
  openssl('ec', '-in', path('key'), '-aes256', '-passout', 'pass:hunter2', '-out', path('encryptedKey'));
  writeFileSync(path('certAndKey'), openssl('x509', '-in', path('cert')) + openssl('ec', '-in', path('key')));
  writeFileSync(path('nonsense'), 'nothing of the kind\n');
  return {
    ca: path('ca'),
    cert: path('cert'),
    key: path('key'),
    encryptedKey: path('encryptedKey'),
    otherCa: path('otherCa'),
    otherKey: path('otherCa.key'),
    certAndKey: path('certAndKey'),
    nonsense: path('nonsense'),
    remove: () => rmSync(folder, { recursive: true }),
  };
}
