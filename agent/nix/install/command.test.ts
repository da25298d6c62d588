import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentConfig } from '../../config.ts';
import type { AgentIo } from '../../io.ts';
import { nixosInstall } from './command.ts';

test('the root of the running system is no place for a new one: nothing is asked or unmounted', async () => {
  for (const root of ['/', '/mnt/..', '//']) {
    const flags = { root, 'dry-run': false };
    const never = new AbortController().signal;
    const installing = nixosInstall(AgentConfig.parse({}), flags, {} as AgentIo, () => {}, never);
    await assert.rejects(installing, { code: 'ARGUMENT_INVALID', hint: /--root/ });
  }
});
