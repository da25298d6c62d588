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
