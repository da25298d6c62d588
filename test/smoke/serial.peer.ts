// A serial device as console: a pseudo-terminal that script(1) holds, set to raw by the real stty(1).
// What is written at its other end has to arrive byte by byte, as a machine sends it.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '#shared/clock.ts';
import { markerLine } from '#shared/markers.ts';
import { FLOWS } from '../../cli/hardware-smoke/flows.ts';
import { billet } from '../../cli/testing.ts';

test('a serial line is set to raw, watched until the machine is ready, and left as it was', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'billet-serial-'));
  const line = spawn('script', ['-qfc', 'tty; exec sleep 60', '/dev/null'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  t.after(async () => {
    const ended = once(line, 'exit');
    line.kill('SIGKILL');
    await ended;
    rmSync(dir, { recursive: true });
  });
  const [said] = (await once(line.stdout, 'data')) as [Buffer];
  const device = said.toString().trim();
  assert.match(device, /^\/dev\/pts\/\d+$/);
  const settings = () => execFileSync('stty', ['-F', device, '-g'], { encoding: 'utf8' });
  const before = settings();
  const words = ['--console', device, '--flow', 'netboot', '--timeout', '30'];
  const ran = billet(['hardware-smoke', 'capture', '--work', dir, ...words]);
  // Until stty has run: a line that is not raw yet echoes.
  await systemClock.sleep(500, AbortSignal.timeout(5000));
  const text = ['\u001b[2JBdsDxe: loading\r\n'];
  for (const { stage } of FLOWS.netboot.boots[0]?.stages ?? [])
    text.push(`${markerLine(stage)}\r\n`);
  for (const byte of text.join('')) line.stdin.write(byte);
  const { code, stderr } = await ran;
  assert.equal(code, 0, stderr);
  const log = readFileSync(join(dir, 'hardware-smoke/latest/console.log'), 'utf8');
  assert.equal(log, text.join(''));
  assert.equal(settings(), before);
});
