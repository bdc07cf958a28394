import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serverBinary } from './servers';

export type Certificates = ReturnType<typeof makeCertificates>;

/** A CA and a certificate of it for `127.0.0.1`, and not for `localhost`; a server or a client may show it. */
export function makeCertificates() {
  const folder = mkdtempSync(join(tmpdir(), 'certificates-'));
  const path = (name: string) => join(folder, name);
  const openssl = (...args: string[]) =>
    execFileSync(serverBinary('openssl'), args, { encoding: 'utf8', stdio: 'pipe' });
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  for (const ca of ['ca', 'otherCa']) {
    const made = ['-keyout', path(`${ca}.key`), '-out', path(ca), '-days', '2', '-subj', `/CN=${ca}`];
    openssl('req', '-x509', ...ec, ...made);
  }
  openssl('req', ...ec, '-keyout', path('key'), '-out', path('request'), '-subj', '/CN=broker');
  writeFileSync(path('extensions'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n');
  const signed = ['-CA', path('ca'), '-CAkey', path('ca.key'), '-CAcreateserial', '-days', '2'];
  const files = ['-in', path('request'), '-extfile', path('extensions'), '-out', path('cert')];
  openssl('x509', '-req', ...signed, ...files);
  openssl('ec', '-in', path('key'), '-aes256', '-passout', 'pass:hunter2', '-out', path('encryptedKey'));
  writeFileSync(path('certAndKey'), openssl('x509', '-in', path('cert')) + openssl('ec', '-in', path('key')));
  writeFileSync(path('nonsense'), 'nothing of the kind\n');
  return {
    // Paths of PEM files.
    ...{ ca: path('ca'), cert: path('cert'), key: path('key'), encryptedKey: path('encryptedKey') },
    /** One that signed nothing of these. */
    ...{ otherCa: path('otherCa'), otherKey: path('otherCa.key') },
    /** A certificate and its key in one file. */
    certAndKey: path('certAndKey'),
    /** A text file that holds no certificate. */
    nonsense: path('nonsense'),
    remove: () => rmSync(folder, { recursive: true }),
  };
}
