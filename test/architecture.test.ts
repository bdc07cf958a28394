import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import ts from 'typescript';

interface Import {
  readonly file: string;
  /** A file of src/ without its extension, or the name of a package. */
  readonly target: string;
  readonly typeOnly: boolean;
  /** Loaded when it is needed, if ever. */
  readonly dynamic: boolean;
}

const COMPOSITION_ROOTS = ['wiring/adapters.ts', 'wiring/operator.ts'];

const root = join(__dirname, '../src');
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.ts'));
const imports = files.flatMap(importsOf);

describe('the import direction', () => {
  /** Paths of src/; what ends in a slash means all under it. */
  const mayImport: Record<string, readonly string[]> = {
    'domain/': ['domain/'],
    'application/': ['application/', 'domain/'],
    'http/': ['http/', 'application/', 'domain/'],
    'messaging/': ['messaging/', 'application/'],
    'observability/': ['observability/', 'application/', 'domain/'],
    // The driver says best what it takes.
    'config/': ['config/', 'adapters/mongo/driver'],
    'adapters/': [
      'application/bus',
      'application/failed-messages',
      'application/operator-ports',
      'application/ports',
      'application/schedule',
      'domain/',
    ],
    'demo/': ['demo/', 'http/problems', 'application/bus', 'application/ports'],
    'wiring/': [
      'wiring/',
      'adapters/',
      'application/',
      'config/',
      'demo/',
      'http/',
      'messaging/',
      'observability/',
      'commands/',
    ],
    'commands/': [
      'commands/',
      'application/',
      'config/',
      'domain/',
      'http/tokens',
      'messaging/injection',
      'observability/build',
      'smoke/',
    ],
    // The smoke test is a peer of the service, no part of it.
    'smoke/': ['smoke/', 'config/', 'http/tokens'],
    'bin/': ['commands/', 'wiring/'],
  };
  /** These may know the shape of settings, not read them. */
  const mayImportTypes: Record<string, readonly string[]> = {
    'observability/': ['config/'],
  };

  it.each(Object.keys(mayImport))('holds in src/%s', (layer) => {
    const ofLayer = imports.filter(({ file }) => file.startsWith(layer));
    const wrong = ofLayer.filter(
      ({ file, target, typeOnly }) =>
        target.startsWith('src/') &&
        !isUnder(target, mayImport[layer] ?? []) &&
        !(typeOnly && isUnder(target, mayImportTypes[layer] ?? [])) &&
        !(layer === 'adapters/' && isUnder(target, [adapterOf(file)])),
    );

    expect(ofLayer).not.toEqual([]);
    expect(wrong).toEqual([]);
  });

  it('allows nothing that is not used', () => {
    const allowed = [mayImport, mayImportTypes].flatMap((rules) =>
      Object.entries(rules).flatMap(([layer, places]) => places.map((place) => ({ layer, place }))),
    );
    const unused = allowed.filter(
      ({ layer, place }) =>
        !imports.some(({ file, target }) => file.startsWith(layer) && isUnder(target, [place])),
    );

    expect(unused).toEqual([]);
  });

  it('knows every folder of src/', () => {
    const folders = files.filter((file) => file.includes('/')).map((file) => `${file.split('/')[0]}/`);

    expect(Object.keys(mayImport)).toEqual(expect.arrayContaining(folders));
  });

  it('lets only the composition roots choose adapters', () => {
    const choosing = imports.filter(
      ({ file, target }) => isUnder(target, ['adapters/']) && !file.startsWith('adapters/'),
    );

    const isCheck = ({ file, target }: Import) =>
      file.startsWith('config/') && target === 'src/adapters/mongo/driver';
    const others = choosing.filter((one) => !isCheck(one));

    expect(new Set(others.map(({ file }) => file))).toEqual(new Set(COMPOSITION_ROOTS));
  });

  it('loads demo/ only with import(), from service and process', () => {
    const loading = imports.filter(
      ({ file, target }) => isUnder(target, ['demo/']) && !file.startsWith('demo/'),
    );

    expect(new Set(loading.map(({ file }) => file))).toEqual(
      new Set(['wiring/service.ts', 'wiring/process.ts']),
    );
    expect(loading.filter(({ dynamic }) => !dynamic)).toEqual([]);
  });

  it('lets only the process compose the service', () => {
    const composing = imports.filter(({ target }) => target === 'src/wiring/service');

    expect(new Set(composing.map(({ file }) => file))).toEqual(new Set(['wiring/process.ts']));
  });

  it('begins with one file, which runs the process', () => {
    expect(files.filter((file) => !file.includes('/'))).toEqual(['main.ts']);
    expect(imports.filter(({ file }) => file === 'main.ts').map(({ target }) => target)).toEqual([
      'src/wiring/process',
    ]);
  });

  it.each([
    ['mongoose', ['adapters/mongo/']],
    ['mongoose-update-if-current', ['adapters/mongo/']],
    ['mongodb', ['adapters/mongo/']],
    ['node-nats-streaming', ['adapters/nats-streaming/', 'smoke/']],
  ])('keeps %s inside %j of src/', (library, homes) => {
    const using = imports.filter(({ target }) => target === library || target.startsWith(`${library}/`));

    // The driver comes with Mongoose: nothing imports it by its own name.
    expect(using.length > 0).toBe(library !== 'mongodb');
    expect(using.filter(({ file }) => !homes.some((home) => file.startsWith(home)))).toEqual([]);
  });
});

it('has no file of more than 300 lines', () => {
  expect(files).not.toEqual([]);
  const long = files.filter((file) => read(file).trimEnd().split('\n').length > 300);

  expect(long).toEqual([]);
});

/** `adapters/mongo/` of `adapters/mongo/orders.ts`. */
function adapterOf(file: string): string {
  return `${file.split('/').slice(0, 2).join('/')}/`;
}

function isUnder(target: string, places: readonly string[]): boolean {
  return places.some((place) =>
    place.endsWith('/') ? target.startsWith(`src/${place}`) : target === `src/${place}`,
  );
}

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

function importsOf(file: string): Import[] {
  const found: Import[] = [];
  const add = (specifier: ts.Node | undefined, typeOnly: boolean, dynamic = false): void => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return;
    const target = specifier.text.startsWith('.')
      ? posix.join('src', posix.dirname(file), specifier.text.replace(/\.js$/, ''))
      : specifier.text;
    found.push({ file, target, typeOnly, dynamic });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword);
    } else if (ts.isExportDeclaration(node)) {
      add(node.moduleSpecifier, node.isTypeOnly);
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      add(node.argument.literal, true);
    } else if (ts.isExternalModuleReference(node)) {
      add(node.expression, false);
    } else if (ts.isCallExpression(node) && /^(import|require)$/.test(node.expression.getText())) {
      add(node.arguments[0], false, node.expression.kind === ts.SyntaxKind.ImportKeyword);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true));
  return found;
}
