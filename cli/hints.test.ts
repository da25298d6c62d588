import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Command } from 'commander';
import { COMMANDS } from './table.ts';
import { testIo } from './testing.ts';

const root = new URL('..', import.meta.url).pathname;
const sources = globSync('{agent,cli,coordinator,shared,initramfs,examples}/**/*.ts', {
  cwd: root,
}).filter((file) => !file.endsWith('.test.ts'));

/** `billet a b` as hints and help show it: at the start of a text, in backquotes, after a colon. */
const SHOWN = /(?<!sha256\()(?:['"`]|\\`|: |&& )billet ([a-z]+(?:-[a-z]+)*)((?: [a-z-]+)?)/gm;

test('every command that a message or help names exists', async () => {
  const { io } = testIo();
  const commands = new Map<string, Command>();
  for (const row of COMMANDS) commands.set(row.name, await row.load(io));
  for (const file of sources)
    for (const [text, name = '', rest] of readFileSync(`${root}/${file}`, 'utf8').matchAll(SHOWN)) {
      const command = commands.get(name);
      assert.ok(command, `${file}: ${text}`);
      const verb = rest?.trim() ?? '';
      const verbs = command.commands.map((child) => child.name());
      if (verbs.length > 0 && /^[a-z]/.test(verb))
        assert.ok(verbs.includes(verb), `${file}: ${text}`);
    }
});

test('no command takes a secret as an argument: only files that hold one', async () => {
  const { io } = testIo();
  const inputs = (command: Command): string[] => [
    ...command.options.map(({ flags }) => flags),
    ...command.registeredArguments.map((argument) => argument.name()),
    ...command.commands.flatMap(inputs),
  ];
  const found = (await Promise.all(COMMANDS.map((row) => row.load(io)))).flatMap(inputs);
  assert.ok(found.length > 60, `${found.length} options and arguments`);
  const secret = found.filter((each) => /secret|password|credential|token|\bkey\b/i.test(each));
  const notSecret = ['--key <text>', '--label <key=value>', '--metadata <key=value>', 'token'];
  // An idempotency key, what is said of a node, and the id of a token; a new one is to be looked at here.
  for (const each of secret.filter((one) => !notSecret.includes(one)))
    assert.match(each, / <file>$/, each);
});
