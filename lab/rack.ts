// A rack of the lab: a fleet whose nodes are installed from one ISO onto the disks of blank machines. What
// an operator does before the first machine is switched on.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { systemClock } from '#shared/clock.ts';
import { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { Instance } from '#shared/schema/records.ts';
import type { Artifacts } from './artifacts.ts';
import { buildChassis, CHASSIS_WORDS, type Chassis, type ChassisSpec } from './chassis.ts';
import type { Fleet } from './fleet.ts';

const Status = z.object({ ca: Digest });

export interface Rack {
  readonly fleet: Fleet;
  /** Goes into every machine. */
  readonly iso: string;
  readonly instances: ReadonlyMap<string, Instance>;
  /** A blank machine; its disks, firmware variables and console logs lie below `dir`. */
  place(spec: ChassisSpec): Promise<Chassis>;
  /** Where the consoles of a machine are written. */
  dirOf(name: string): string;
  /** Polls until `wanted` holds for the node's instance. Throws TIMEOUT with what it last was. */
  until(
    node: string,
    what: string,
    wanted: (instance: Instance) => boolean,
    timeoutMs: number,
  ): Promise<Instance>;
}

export interface RackOptions {
  readonly fleet: Fleet;
  readonly artifacts: Artifacts;
  /** Scratch. */
  readonly dir: string;
  /** Documents of `billet apply`: classes with install plans, nodes by what their machines say. */
  readonly documents: string;
  readonly nodes: readonly string[];
  readonly signal: AbortSignal;
}

/** One ISO with coordinator, CA and trust policy baked in; modules and boot image pushed; nodes registered. */
export async function openRack(options: RackOptions): Promise<Rack> {
  const { fleet, artifacts, dir, signal } = options;
  const { ca } = Status.parse(await fleet.billet('status'));
  const boot = join(dir, 'boot');
  const baked = ['--policy', artifacts.keys.policy, '--coordinator', fleet.guestUrl, '--ca', ca];
  const named = ['--name', 'metal', '--command-line', CHASSIS_WORDS];
  await fleet.billet('image', 'build', '--out', boot, ...baked, ...named);
  for (const [name, layout] of Object.entries(artifacts.modules))
    await fleet.billet('module', 'push', layout, `${name}:stable`);
  await fleet.billet('image', 'push', boot, 'metal:stable');
  await fleet.billet('image', 'sign', 'metal:stable', '--key', artifacts.keys.privateKey);
  await fleet.billet('apply', '-f', options.documents, '--set', 'rack');
  const instances = new Map<string, Instance>();
  for (const node of options.nodes)
    instances.set(node, Instance.parse(await fleet.billet('instance', 'create', node)));
  const dirOf = (name: string) => join(dir, name);
  return {
    ...{ fleet, instances, dirOf, iso: join(boot, 'billet.iso') },
    async place(spec) {
      await mkdir(dirOf(spec.name), { recursive: true });
      return await buildChassis(spec, dirOf(spec.name), signal);
    },
    async until(node, what, wanted, timeoutMs) {
      const limit = systemClock.monotonic() + timeoutMs;
      for (;;) {
        const now = Instance.parse(await fleet.billet('instance', 'show', node));
        if (wanted(now)) return now;
        if (systemClock.monotonic() > limit)
          throw new BilletError(
            'TIMEOUT',
            `${node} is not ${what} after ${timeoutMs / 1000} s: ${JSON.stringify(now)}`,
            { hint: 'billet events shows what happened' },
          );
        await delay(500, undefined, { signal });
      }
    },
  };
}
