// Texts that want to be more than text, in everything that renders them: log lines, console markers,
// iPXE scripts and kernel command lines, terminal tables, JSON on a terminal. Properties, over any
// characters; what a real server makes of them is in coordinator-injection-live.peer.ts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cmdlineWords } from '../../agent/identity/cmdline.ts';
import { eventLine } from '../../cli/commands/events.ts';
import { reportFailure } from '../../cli/failure.ts';
import { cleanLines, jsonText, listing, table } from '../../cli/output.ts';
import { testIo } from '../../cli/testing.ts';
import { type LogFields, lineLog } from '../../coordinator/log.ts';
import { bootScript, waitingScript } from '../../coordinator/netboot/script.ts';
import { sha256 } from '../../shared/digest.ts';
import { BilletError } from '../../shared/errors.ts';
import { failureLine, markerLine, parseMarker } from '../../shared/markers.ts';
import { BootImage } from '../../shared/schema/desired.ts';
import { Identity } from '../../shared/schema/identity.ts';
import { Event } from '../../shared/schema/records.ts';

const EVIL = [
  ...['\r\n', '\n<3>forged', '\u001b[2J', '\u001b]0;title\u0007', '\u009b31m', '\u007f', '\b\b'],
  ...[
    '\u0000',
    '\u2028',
    '\u202e',
    '\u2066',
    '" key="x',
    ' code=OK',
    '\\',
    '\u0024{net0/ip}',
    '&& shell',
  ],
  ...[
    '|| reboot',
    '#',
    '"',
    ' BILLET_MARKER ready ',
    '\ud800',
    '\u{1f4a9}',
    '\t',
    '\n\n',
    '%0d%0a',
  ],
];
/** Any characters, and often those that somebody obeys. */
const evil = fc
  .array(fc.oneof(fc.constantFrom(...EVIL), fc.string({ unit: 'binary', maxLength: 8 })), {
    maxLength: 6,
  })
  .map((parts) => parts.join(''));
/** What a terminal may get: no control characters but ends of lines, nothing that turns text around. */
const SAFE = /^[^\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]*$/u;
const assertSafe = (text: string) => {
  for (const line of text.split('\n')) assert.match(line.replaceAll('\t', ' '), SAFE);
};

/** A log line as a program would take it apart. */
function parseLog(line: string): { text: string; fields: Record<string, string> } {
  const found = /^<[346]>([^=]*?)((?: \w+=(?:"(?:[^"\\]|\\.)*"|[^\s"]+))*)\n$/.exec(line);
  assert.ok(found, line);
  const [, text = '', rest = ''] = found;
  const fields = [...rest.matchAll(/ (\w+)=("(?:[^"\\]|\\.)*"|[^\s"]+)/g)].map(
    ([, key, value = '']) => [key, value.startsWith('"') ? JSON.parse(value) : value],
  );
  return {
    text: JSON.parse(`"${text.replaceAll('"', '\\"')}"`),
    fields: Object.fromEntries(fields),
  };
}

test('a log line is one line of printable ASCII, and says what was said', async () => {
  const lines: string[] = [];
  const log = lineLog((line) => lines.push(line));
  await fc.assert(
    fc.property(evil, evil, evil, (text, one, two) => {
      const fields: LogFields = { why: one, code: two };
      log.error(text, fields);
      const line = lines.at(-1) ?? '';
      assert.match(line, /^<3>[\x20-\x7e]*\n$/);
      assert.deepEqual(parseLog(line), { text, fields });
    }),
    { numRuns: 500 },
  );
});

test('a marker is one line, and is read back as it was', async () => {
  await fc.assert(
    fc.property(evil, evil, (message, hint) => {
      const line = failureLine('pulled', { code: 'TIMEOUT', message, hint });
      assert.match(line, /^[\x20-\x7e]+$/);
      assert.deepEqual(parseMarker(line)?.fields, { code: 'TIMEOUT', message, hint });
      assert.equal(parseMarker(line)?.stage, 'pulled');
      assert.deepEqual(parseMarker(markerLine('identity', { node: hint }))?.fields, { node: hint });
    }),
    { numRuns: 500 },
  );
});

const identity = Identity.parse({
  coordinator: 'https://10.0.2.2:8443',
  ca: sha256('ca'),
  instance: 'i-0000000000000001',
  token: 't'.repeat(43),
});
const imageOf = (commandLine: string): BootImage => ({
  ...BootImage.parse({
    ...{ repository: 'boot', manifest: sha256('m'), kernel: sha256('k'), initramfs: sha256('i') },
    ...{ kernelRelease: '6.12.0', commandLine: '' },
  }),
  commandLine,
});

/** The first word of each line of a script. */
const verbs = (script: string) => script.split('\n').map((line) => line.split(' ')[0]);

test('a boot script has the lines that it should, or is refused', async () => {
  const plain = bootScript(imageOf('quiet'), identity, 'web-1');
  await fc.assert(
    fc.property(evil, fc.array(fc.constantFrom('a="b c"', 'x=1', 'quiet')), (text, words) => {
      const commandLine = [...words, text].join(' ');
      let script: string;
      try {
        script = bootScript(imageOf(commandLine), identity, 'web-1');
      } catch (error) {
        assert.ok(
          error instanceof BilletError && error.code === 'BODY_INVALID' && error.hint !== '',
        );
        return;
      }
      assert.deepEqual(verbs(script), verbs(plain));
      const kernel = script.split('\n').find((line) => line.startsWith('kernel ')) ?? '';
      assert.match(kernel, /^[\x20-\x7e]+ \|\| goto failed$/);
      assert.doesNotMatch(kernel.replace(/ \|\| goto failed$/, ''), /\$\{| (?:&&|\|\|) | #/);
      // As the kernel takes it apart: identity comes last, in words of its own.
      const own = cmdlineWords(kernel.replace(/ \|\| goto failed$/, '')).slice(-4);
      assert.deepEqual(own, [
        `billet.coordinator=${identity.coordinator}`,
        `billet.ca=${identity.ca}`,
        `billet.instance=${identity.instance}`,
        `billet.token=${identity.token}`,
      ]);
    }),
    { numRuns: 500 },
  );
});

test('what a waiting machine is told is text, whatever it says', async () => {
  const machine = [{ kind: 'mac', value: '52:54:00:00:00:01' }] as const;
  await fc.assert(
    fc.property(fc.array(evil, { maxLength: 3 }), (lines) => {
      const script = waitingScript(machine, lines);
      const plain = waitingScript(
        machine,
        lines.map(() => 'text'),
      );
      assert.deepEqual(verbs(script), verbs(plain));
      for (const line of script.split('\n').filter((one) => one.startsWith('echo ')))
        assert.doesNotMatch(line, /\$\{|&&|\|\||[^\x20-\x7e]/);
    }),
  );
});

test('a terminal gets text: tables, listings, events, failures, and JSON', async () => {
  await fc.assert(
    fc.property(fc.array(fc.tuple(evil, evil), { minLength: 1, maxLength: 4 }), (rows) => {
      const columns = [0, 1].map((at) => ({
        header: `C${at}`,
        value: (row: readonly [string, string]) => row[at] ?? '',
        shrinks: true,
      }));
      const lines = table(rows, columns, 80, 'none');
      assert.equal(lines.length, rows.length + 1, 'a row is a line');
      for (const line of [
        ...lines,
        ...listing(
          rows.map(([, value]) => ['key', value]),
          80,
        ),
      ])
        assert.match(line, SAFE);
      const [[first, second] = ['', '']] = rows;
      assertSafe(cleanLines(first).join('\n'));
      const event = Event.parse({
        ...{ revision: 1, at: '2026-01-01T00:00:00.000Z', actor: 'node:x', kind: 'a.b' },
        ...{ subject: 'task/x', text: first, details: { text: second } },
      });
      assert.match(eventLine(event, 120), SAFE);
      const value = { first, [second]: [first, second] };
      assertSafe(jsonText(value, 2));
      assert.deepEqual(JSON.parse(jsonText(value)), JSON.parse(JSON.stringify(value)));
      for (const json of [true, false]) {
        const { io, stderr } = testIo();
        reportFailure(new BilletError('NOT_FOUND', first, { hint: second }), io, json);
        assertSafe(stderr());
        if (!json) assert.match(stderr(), /^error: .*\ncode: NOT_FOUND\n$/s);
      }
    }),
    { numRuns: 300 },
  );
});
