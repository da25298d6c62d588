import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import fc from 'fast-check';
import { BilletError } from '#shared/errors.ts';
import { openLog } from './journal.ts';
import { encodeEntry, encodeLine } from './journal-entry.ts';
import { inheritedFds, openNotify } from './notify.ts';

/** As journald reads an entry: systemd.io/JOURNAL_NATIVE_PROTOCOL. */
function decode(entry: Buffer): Record<string, string> {
  const fields: Record<string, string> = {};
  let at = 0;
  while (at < entry.length) {
    const end = entry.indexOf(0x0a, at);
    const line = entry.toString('utf8', at, end);
    const equals = line.indexOf('=');
    if (equals >= 0) {
      fields[line.slice(0, equals)] = line.slice(equals + 1);
      at = end + 1;
      continue;
    }
    const length = Number(entry.readBigUInt64LE(end + 1));
    fields[line] = entry.toString('utf8', end + 9, end + 9 + length);
    at = end + 9 + length + 1;
  }
  return fields;
}

const value = fc.string({ unit: fc.constantFrom('a', '=', '\n', 'ü', ' ', 'PRIORITY=0\n', '\0') });

test('no value can become a field of its own', () =>
  fc.assert(
    fc.property(value, value, (message, extra) => {
      const fields = { MESSAGE: message, BILLET_X: extra, PRIORITY: '6' };
      assert.deepEqual(decode(encodeEntry(fields)), fields);
    }),
  ));

test('names that journald refuses are left out, and long texts are cut under its limit', () => {
  const fields = decode(encodeEntry({ _PID: '1', lower: 'x', 'A=B': 'y', MESSAGE: 'z' }));
  assert.deepEqual(fields, { MESSAGE: 'z' });
  const entry = encodeEntry({ MESSAGE: 'ü\n'.repeat(200_000), AFTER: 'kept or left out' });
  assert.ok(entry.length < 207 * 1024);
  assert.ok(decode(entry).MESSAGE?.startsWith('ü\nü'));
});

test('a line on stderr is one line, whatever the text', () => {
  assert.equal(encodeLine(3, 'a\n<0>b\r\x1b[31mc\n'), '<3>a <0>b [31mc\n');
});

test('errors carry code and hint; without journald they go to stderr', () => {
  const lines: string[] = [];
  const log = openLog({ journalFd: null, stderr: { write: (text) => lines.push(text) } });
  log.fail(new BilletError('LINK_DOWN', 'nobody\nthere', { hint: 'look' }));
  assert.deepEqual(lines, ['<3>nobody there BILLET_CODE="LINK_DOWN" BILLET_HINT="look"\n']);
});

test('a journald that does not read holds up neither the agent nor its end', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'billet-log-'));
  const fifo = join(dir, 'fifo');
  assert.equal(spawnSync('mkfifo', [fifo]).status, 0);
  const reader = openSync(fifo, 'r+');
  const log = openLog({ journalFd: reader, stderr: { write: () => true } });
  const before = performanceOf();
  for (let index = 0; index < 3000; index++) log.info('x'.repeat(200), { BILLET_N: index });
  assert.ok(performanceOf() - before < 1500);
  // The thread is in a blocked write now; what is read here lets it go on and end.
  const closing = log.close();
  while (!(await Promise.race([closing.then(() => true), setTimeout(5, false)]))) drain(fifo);
  closeSync(reader);
  rmSync(dir, { recursive: true });
});

const performanceOf = () => Number(process.hrtime.bigint() / 1_000_000n);

function drain(path: string): void {
  spawnSync('dd', [`if=${path}`, 'of=/dev/null', 'bs=64k', 'count=4', 'iflag=nonblock'], {
    stdio: 'ignore',
  });
}

test('descriptors are taken by name, and only by the process that they are for', () => {
  const env = { LISTEN_FDS: '2', LISTEN_PID: '7', LISTEN_FDNAMES: 'journal:notify' };
  assert.deepEqual(
    [...inheritedFds(env, 7)],
    [
      ['journal', 3],
      ['notify', 4],
    ],
  );
  assert.deepEqual([...inheritedFds(env, 8)], []);
  assert.deepEqual([...inheritedFds({}, 7)], []);
});

test('a status for systemd is one assignment', () => {
  const dir = mkdtempSync(join(tmpdir(), 'billet-notify-'));
  const path = join(dir, 'out');
  const fd = openSync(path, 'w');
  const notify = openNotify(fd);
  notify.status('all well\nMAINPID=1');
  notify.ready();
  closeSync(fd);
  assert.equal(readFileSync(path, 'utf8'), 'STATUS=all well MAINPID=1\nREADY=1\n');
  rmSync(dir, { recursive: true });
});
