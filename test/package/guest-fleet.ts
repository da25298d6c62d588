// What the machine of packages is enrolled with: a coordinator of the lab, a signed service module and a
// system module in its registry, a node with both, and a token in a file.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildLayer } from '../../examples/modules/recipe.ts';
import { buildBootRoot } from '../../initramfs/boot-root.ts';
import { billetWith } from '../../lab/command.ts';
import { type Fleet, startFleet } from '../../lab/fleet.ts';
import { freePort } from '../../lab/power.ts';
import { makeVariant } from '../../lab/variants.ts';
import { hostTrixieLines } from '../../setup/build/apt-sources.ts';
import { cacheDirOf } from '../../shared/build-cache.ts';
import { systemClock } from '../../shared/clock.ts';
import { Instance } from '../../shared/schema/records.ts';

export interface GuestFleet {
  readonly fleet: Fleet;
  readonly node: string;
  readonly instance: Instance;
  /** JSON with coordinator, CA, instance and token. */
  readonly identity: string;
  readonly policy: string;
  /** What else the machine is given to read. */
  readonly files?: readonly { readonly name: string; readonly from: string }[];
}

export const NODE = 'debian-1';

export interface FleetGround {
  readonly fleet: Fleet;
  /** A trust policy for all modules by one key, and that key. */
  readonly policy: string;
  readonly releaseKey: string;
}

/** A coordinator whose nodes trust a new key; `more` goes into their trust policy. */
export async function fleetGround(
  dir: string,
  signal: AbortSignal,
  more: object = {},
): Promise<FleetGround> {
  const keys = join(dir, 'release');
  await billetWith(null, signal)('module', 'keygen', keys);
  const policy = join(dir, 'trust-policy.json');
  const rules = [{ modules: ['*'], keys: [await readFile(`${keys}.pub`, 'utf8')] }];
  await writeFile(policy, JSON.stringify({ format: 1, mode: 'enforce', rules, ...more }));
  const fleet = await startFleet({
    stateDir: join(dir, 'coordinator'),
    httpsPort: await freePort(),
    httpPort: await freePort(),
    heartbeatSeconds: 2,
    signal,
  });
  return { fleet, policy, releaseKey: `${keys}.key` };
}

export async function guestFleet(dir: string, signal: AbortSignal): Promise<GuestFleet> {
  const { fleet, policy, releaseKey } = await fleetGround(dir, signal);
  await pushModules(fleet, dir, releaseKey, signal);
  const { billet } = fleet;
  await billet('node', 'create', NODE, '--module', 'web:stable', '--module', 'tools:stable');
  const instance = Instance.parse(await billet('instance', 'create', NODE));
  const identity = join(dir, 'identity.json');
  await billet('token', 'create', NODE, '--write', identity);
  return { fleet, node: NODE, instance, identity, policy };
}

async function pushModules(fleet: Fleet, dir: string, key: string, signal: AbortSignal) {
  const context = {
    ...{ cacheDir: cacheDirOf(process.env), clock: systemClock, signal },
    ...{ aptLines: hostTrixieLines(), progress: () => undefined },
  };
  const boot = await buildBootRoot(context);
  const parts = {
    ...{ kernelRoot: boot.root, kernelRelease: boot.kernelRelease, node: boot.node, agentDir: '' },
  };
  for (const module of ['web', 'tools'] as const) {
    const layer = await buildLayer(module, parts, context);
    const variant = { module, layer, label: { requires: [] }, key };
    const image = await makeVariant(fleet.billet, variant, dir, signal);
    await fleet.billet('module', 'push', image, `${module}:stable`);
  }
}
