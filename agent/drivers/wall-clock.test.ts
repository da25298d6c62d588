import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { builtAt, imageBuiltAt, setWallClock } from './wall-clock.ts';

test('the day on which a kernel was built is read as Debian and as make write it', () => {
  const debian =
    'Linux version 6.12.48+deb13-amd64 (debian-kernel@lists.debian.org) (gcc-14 (Debian 14.2.0-19) 14.2.0) #1 SMP PREEMPT_DYNAMIC Debian 6.12.48-1 (2025-09-20)\n';
  assert.equal(builtAt(debian), Date.UTC(2025, 8, 20));
  const plain = 'Linux version 6.1.0 (a@b) (gcc 12) #1 SMP Thu Sep 25 10:11:12 UTC 2025\n';
  assert.equal(builtAt(plain), Date.UTC(2025, 8, 25, 10, 11, 12));
  for (const silent of ['', 'Linux version 6.18 (a@b) #1 SMP @0', '(soon)'])
    assert.equal(builtAt(silent), null);
});

test('the day on which a boot image was built is what it says of itself, if it can be read', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'billet-image-'));
  t.after(() => rm(dir, { recursive: true }));
  const path = join(dir, 'image.json');
  assert.equal(await imageBuiltAt(path), null);
  for (const [text, at] of [
    [
      '{"format":1,"name":"boot","builtAt":"2026-11-20T10:11:12Z"}',
      Date.UTC(2026, 10, 20, 10, 11, 12),
    ],
    ['{"builtAt":"soon"}', null],
    ['{', null],
  ] as const) {
    await writeFile(path, text);
    assert.equal(await imageBuiltAt(path), at, text);
  }
});

test('the clock is set to the second, and a refusal is an error with a hint', async () => {
  const said: (readonly string[])[] = [];
  const never = new AbortController().signal;
  const answer = { code: 0, stdout: '', stderr: '' };
  await setWallClock(
    async (argv) => {
      said.push(argv);
      return answer;
    },
    1_763_700_000_999,
    never,
  );
  assert.deepEqual(said, [['date', '-u', '-s', '@1763700000']]);
  const refused = {
    code: 1,
    stdout: '',
    stderr: "date: can't set date: Operation not permitted\n",
  };
  await assert.rejects(
    setWallClock(async () => refused, 0, never),
    {
      code: 'COMMAND_FAILED',
      hint: /firmware/,
    },
  );
});
