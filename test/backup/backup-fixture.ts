// What the tests of backup and restore share: a backup of a real coordinator as the CLI takes it, and
// the coordinator started again over what was restored.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { restoreBackup } from '../../coordinator/backup/restore.ts';
import { systemClock } from '../../shared/clock.ts';
import { routes } from '../../shared/routes/table.ts';
import { NodeName } from '../../shared/schema/ids.ts';
import { NodeSpec } from '../../shared/schema/records.ts';
import { restartCoordinator } from '../agent/agent-fixture.ts';
import type { Fixture } from '../coordinator/coordinator-fixture.ts';

export interface TakeOptions {
  readonly withRegistry?: boolean;
  readonly passphrase?: string;
}

/** The bytes of a backup of the running coordinator. */
export async function takeBackup(fixture: Fixture, options: TakeOptions = {}): Promise<Buffer> {
  const local = await readFile(join(fixture.stateDir, 'local.secret'), 'utf8');
  const body = { local, ...options };
  const response = await fixture.admin.open(routes.takeBackup, { body });
  return Buffer.concat(await Array.fromAsync(response.body));
}

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Stops the coordinator, restores over its state, and starts it again at its port: after `between`. */
export async function restoreOver(
  fixture: Fixture,
  backup: Buffer,
  between: () => Promise<void> = async () => undefined,
) {
  await fixture.coordinator.stop();
  const restored = await restoreBackup({
    stateDir: fixture.stateDir,
    bytes: once(backup),
    passphrase: null,
    force: true,
    clock: systemClock,
  });
  await between();
  await restartCoordinator(fixture, 1);
  return restored;
}

export const setModules = (fixture: Fixture, name: string, modules: readonly object[]) =>
  fixture.admin.call(routes.putNodeSpec, {
    params: { name: NodeName.parse(name) },
    body: NodeSpec.parse({ modules }),
  });
