// `npm run docs`: writes the generated parts of docs/wire.md.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withGeneratedParts } from './wire-doc.ts';

const file = join(import.meta.dirname, '../docs/wire.md');
writeFileSync(file, withGeneratedParts(readFileSync(file, 'utf8')));
