/** Writes the schemas of the code to docs/asyncapi.yaml. A test fails while they differ. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format } from 'prettier';
import { parseDocument } from 'yaml';
import { messageSchemas } from '../test/contracts/message-schemas';

const path = join(__dirname, '../docs/asyncapi.yaml');

async function write(): Promise<void> {
  const document = parseDocument(readFileSync(path, 'utf8'));
  document.setIn(['components', 'schemas'], messageSchemas());
  const options = { parser: 'yaml', singleQuote: true, printWidth: 110 };
  writeFileSync(path, await format(document.toString({ lineWidth: 0 }), options));
}

void write();
