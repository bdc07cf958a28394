/**
 * Tests against real servers. What is missing on this machine is looked for once per run, by find-servers.ts;
 * its findings reach the workers through the environment.
 */

/** Programs, for `kubernetes` the kubeconfig of a cluster that tests may fill and empty, and the schema's file. */
export type Found =
  | 'mongod'
  | 'nats-streaming-server'
  | 'openssl'
  | 'helm'
  | 'helm3'
  | 'kubeconform'
  | 'kubernetes'
  | 'skaffold-schema'
  | 'python3';
/** `mongodb` is any MongoDB that needs not be killed: the one of `MONGO_URL`, else a mongod of our own. */
export type Server = Found | 'mongodb';
export type Finding = { readonly path: string } | { readonly missing: string };
export type Findings = Readonly<Record<Found, Finding>>;

/** Holds the {@link Findings} as JSON. */
export const FINDINGS_VARIABLE = 'TEST_SERVERS';

/**
 * A `describe` whose tests need these servers. Where one is missing the whole block is skipped, and the
 * reporter names it with the reason; where `REQUIRE_SERVERS` names it, or is 1, a failing test stands in its place.
 * The body always runs, for its tests are counted: ask for {@link serverBinary} in hooks and tests only.
 */
export function describeWith(servers: readonly Server[], title: string, body: () => void): void {
  const missing = servers.filter((server) => whyMissing(server) !== undefined);
  if (missing.length === 0) {
    describe(title, body);
    return;
  }
  const reason = [...new Set(missing.map(whyMissing))].join('; ');
  if (missing.some(isRequired)) {
    describe(title, () => {
      it('has the servers it needs', () => {
        throw new Error(`${reason}; REQUIRE_SERVERS=${process.env['REQUIRE_SERVERS']} forbids to skip`);
      });
    });
    return;
  }
  // The reporter reads the reason from the title.
  describe.skip(`${title} [skipped: ${reason}]`, body);
}

/** `REQUIRE_SERVERS`: 1 for all of them, or their names with commas between. */
function isRequired(server: Server): boolean {
  const required = process.env['REQUIRE_SERVERS'] ?? '';
  return required === '1' || required.split(',').includes(server);
}

/** The path of what was found. Throws where it is missing: call it under {@link describeWith}. */
export function serverBinary(server: Found): string {
  return pathOf(findings()[server]);
}

/** Throws what is missing. */
export function pathOf(finding: Finding): string {
  if ('missing' in finding) throw new Error(finding.missing);
  return finding.path;
}

/** The MongoDB that this run was given, for tests that do not kill it; several files may use it at once. */
export function mongoUrl(): string | undefined {
  return process.env['MONGO_URL'] || undefined;
}

function whyMissing(server: Server): string | undefined {
  if (server === 'mongodb' && mongoUrl() !== undefined) return undefined;
  const finding = findings()[server === 'mongodb' ? 'mongod' : server];
  return 'missing' in finding ? finding.missing : undefined;
}

function findings(): Findings {
  const json = process.env[FINDINGS_VARIABLE];
  if (json === undefined) throw new Error(`${FINDINGS_VARIABLE} is not set: find-servers.ts did not run`);
  return JSON.parse(json) as Findings;
}
