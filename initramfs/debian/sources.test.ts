import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sourcesFor } from './sources.ts';

const stanzas = `Types: deb
# a snapshot stood here
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/own.gpg

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: http://other.test/apt
Suites: nodistro
Components: main
`;

test('the host’s mirrors are asked for the other suite, and foreign archives are left out', () => {
  const text = sourcesFor('trixie', [{ name: 'debian.sources', text: stanzas }]);
  assert.match(text, /URIs: http:\/\/mirror\.test\/debian\nSuites: trixie trixie-updates\n/);
  assert.match(text, /debian-security\nSuites: trixie-security\n/);
  assert.match(text, /Signed-By: \/usr\/share\/keyrings\/own\.gpg/);
  assert.doesNotMatch(text, /other\.test|bookworm/);
});

test('the one-line format is read too, with its options', () => {
  const text = sourcesFor('trixie', [
    {
      name: 'sources.list',
      text: '# deb http://off.test/debian bookworm main\ndeb [arch=amd64 signed-by=/k.gpg] http://m.test/debian bookworm main\n',
    },
  ]);
  assert.match(
    text,
    /URIs: http:\/\/m\.test\/debian\nSuites: trixie trixie-updates\nComponents: main\nSigned-By: \/k\.gpg/,
  );
  assert.doesNotMatch(text, /off\.test/);
});

test('a machine without a mirror of Debian is told what to do', () => {
  assert.throws(() => sourcesFor('trixie', []), { code: 'CONFIG_INVALID' });
});
