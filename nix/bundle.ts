// Writes the bundles of one package into a folder, for package.nix: `node nix/bundle.ts PACKAGE FOLDER`.
// Which bundles those are, the table of the Debian packages says.

import { mkdirSync } from 'node:fs';
import { writeBundle } from '../setup/build/bundle.ts';
import { PACKAGES } from '../setup/package/packages.ts';

const [name = '', folder = ''] = process.argv.slice(2);
const entries = PACKAGES.find((each) => each.name === name)?.bundles;
if (entries === undefined || folder === '') {
  process.stderr.write('usage: node nix/bundle.ts billet|billet-agent|billet-coordinator FOLDER\n');
  process.exit(2);
}
mkdirSync(folder, { recursive: true });
await writeBundle(folder, { entries });
