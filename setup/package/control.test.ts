import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertDebianVersion, directoriesOf, renderControl, renderMd5sums } from './control.ts';

const file = (path: string, text: string) => ({ path, mode: 0o644, content: Buffer.from(text) });
const files = [file('/usr/lib/billet/b', 'b'.repeat(1025)), file('/etc/billet/a', '')];

test('a version that dpkg would refuse is refused before anything is built', () => {
  for (const fine of ['0.1.0', '0.2.0~rc1', '1.0+git20251122-1']) assertDebianVersion(fine);
  for (const wrong of ['v1', '', '1:2', '1_2', '1.0-', '1.0;rm'])
    assert.throws(() => assertDebianVersion(wrong), { code: 'ARGUMENT_INVALID' }, wrong);
});

test('control counts sizes as dpkg-gencontrol(1) does, and folds the description (deb-control(5))', () => {
  const text = renderControl(
    {
      ...{ name: 'x', version: '1', section: 'admin', maintainer: 'A <a@example.org>' },
      ...{ depends: ['b', 'a (>= 1)'], summary: 'short', description: ['word '.repeat(30), 'end'] },
    },
    files,
  );
  // 2 KiB and 0 KiB of files, and /etc, /etc/billet, /usr, /usr/lib, /usr/lib/billet.
  assert.match(text, /^Installed-Size: 7$/m);
  assert.match(text, /^Depends: a \(>= 1\), b$/m);
  assert.match(text, /^Description: short\n( word)+\n( word)+\n( \w+)*\n? ?\.?\n/m);
  assert.ok(text.endsWith('\n .\n end\n'));
  for (const line of text.split('\n')) assert.ok(line.length <= 78, line);
});

test('directories come before what is in them, and sums in the order of names (deb-md5sums(5))', () => {
  assert.deepEqual(directoriesOf(files), [
    '/etc',
    '/etc/billet',
    '/usr',
    '/usr/lib',
    '/usr/lib/billet',
  ]);
  assert.match(
    renderMd5sums(files),
    /^d41d8cd98f00b204e9800998ecf8427e {2}etc\/billet\/a\n[0-9a-f]{32} {2}usr\/lib\/billet\/b\n$/,
  );
});
