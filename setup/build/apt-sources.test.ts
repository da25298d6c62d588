import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hostTrixieLines, parseDeb822, parseOneLine, trixieLines } from './apt-sources.ts';

const DEB822 = `Types: deb deb-src
# http://old.example/debian
URIs: http://mirror.example/debian http://other.example/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: https://vendor.example/linux/debian
Suites: bookworm
Components: stable

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
`;

test('the host archives of one release become those of trixie, and strangers are left out', () => {
  const key = '[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ';
  assert.deepEqual(trixieLines(parseDeb822(DEB822), 'bookworm'), [
    `deb ${key}http://mirror.example/debian trixie main`,
    `deb ${key}http://mirror.example/debian trixie-updates main`,
    `deb ${key}http://other.example/debian/ trixie main`,
    `deb ${key}http://other.example/debian/ trixie-updates main`,
    'deb http://mirror.example/debian-security trixie-security main',
  ]);
});

test('one-line sources are read, with options and comments', () => {
  const text = `# deb http://no.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main non-free # mine
deb-src http://mirror.example/debian bookworm main
deb http://pg.example/apt bookworm-pgdg main`;
  assert.deepEqual(trixieLines(parseOneLine(text), 'bookworm'), [
    'deb [signed-by=/k.gpg] http://mirror.example/debian trixie main',
  ]);
});

test('a host without a Debian archive is told so', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'billet-apt-'));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'etc/apt/sources.list.d'), { recursive: true });
  writeFileSync(join(root, 'etc/os-release'), 'VERSION_CODENAME=noble\n');
  writeFileSync(join(root, 'etc/apt/sources.list'), 'deb http://u.example/ubuntu noble main\n');
  assert.throws(() => hostTrixieLines(root), { code: 'CONFIG_INVALID' });
});
