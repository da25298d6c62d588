// What the benches of booting share: a fleet with everything pushed, one machine at a time, and its
// markers as figures.

import { join } from 'node:path';
import type { Marker } from '#shared/markers.ts';
import { type Fleet, startFleet } from '../../lab/fleet.ts';
import {
  createNode,
  type Hardware,
  type LabNode,
  pushArtifacts,
  switchOn,
  tokenIdentity,
  untilInstance,
} from '../../lab/node.ts';
import { freePort, type PoweredMachine } from '../../lab/power.ts';
import { run } from '../../setup/build/drivers/run.ts';
import type { BenchContext, Figure } from '../bench.ts';

export interface BootLab extends AsyncDisposable {
  readonly fleet: Fleet;
  readonly node: LabNode;
  /** Switches the node on; the caller switches it off. */
  boot(hardware: Pick<Hardware, 'boot' | 'disks' | 'identity'>): Promise<PoweredMachine>;
  /** Seconds from power-on until the coordinator says `running` with phase=ready. */
  untilRunning(machine: PoweredMachine): Promise<number>;
}

const BOOT_LIMIT_MS = 300_000;
/** As a coordinator asks for when nobody says otherwise. */
const HEARTBEAT_SECONDS = 30;

/** The modules are the lab's: base, tools and the web service. */
export async function openBootLab({ dir, signal, artifacts }: BenchContext): Promise<BootLab> {
  const made = artifacts();
  const fleet = await startFleet({
    stateDir: join(dir, 'coordinator'),
    httpsPort: await freePort(),
    httpPort: await freePort(),
    signal,
    heartbeatSeconds: HEARTBEAT_SECONDS,
  });
  try {
    await pushArtifacts(fleet, made);
    const node = await createNode(fleet, 'bench-1', ['base:stable', 'tools:stable', 'web:stable']);
    return {
      fleet,
      node,
      boot: (hardware) => switchOn(fleet, made, node, { ...hardware, dir, signal }),
      async untilRunning(machine) {
        const { atSeconds } = await machine.waitFor('ready', { timeoutMs: BOOT_LIMIT_MS });
        await untilInstance(
          fleet,
          node,
          'running',
          ({ state, heartbeat }) => state === 'running' && heartbeat?.phase === 'ready',
          BOOT_LIMIT_MS,
        );
        return atSeconds;
      },
      [Symbol.asyncDispose]: () => fleet[Symbol.asyncDispose](),
    };
  } catch (error) {
    await fleet[Symbol.asyncDispose]();
    throw error;
  }
}

/** An empty disk for the store, as an operator prepares it. */
export async function persistDisk({ dir, signal }: BenchContext): Promise<string> {
  const disk = join(dir, 'persist.raw');
  await run(['truncate', '-s', '2G', disk], { signal });
  const layout = ['-L', 'billet-persist', '-O', 'verity', '-b', '4096'];
  await run(['mkfs.ext4', '-q', ...layout, disk], { signal });
  return disk;
}

/** Enrolls and fills the disk: what comes after is a warm boot. */
export async function firstBoot(lab: BootLab, disks: Hardware['disks'] & {}): Promise<void> {
  const identity = await tokenIdentity(lab.fleet, lab.node);
  await using machine = await lab.boot({ boot: 'direct', disks, identity });
  await lab.untilRunning(machine);
}

/** Who it is, without a token: the key on its disk has to do. */
export async function warmIdentity({ fleet, node }: BootLab): Promise<Record<string, string>> {
  const { token: _, ...rest } = await tokenIdentity(fleet, node);
  return rest;
}

const STAGES: readonly (readonly [Marker, string])[] = [
  ['boot-start', 'firmware, kernel, initramfs'],
  ['enrolled', 'network, store, identity'],
  ['desired', 'desired state'],
  ['pulled', 'modules pulled, verified, sealed'],
  ['mounted', 'composed and mounted'],
  ['switch-root', 'handed over'],
  ['agent-start', 'systemd, to the agent'],
  ['attached', 'service module attached'],
  ['ready', 'probes, ready'],
];

/** Seconds of each stage, from the one before; the first from `sinceSeconds`. */
export function stageFigures(
  { sightings }: Pick<PoweredMachine, 'sightings'>,
  stages: readonly (readonly [Marker, string])[] = STAGES,
  sinceSeconds = 0,
): Figure[] {
  let before = sinceSeconds;
  return stages.flatMap(([marker, name]) => {
    const seen = sightings.find(
      ({ marker: { stage, failure }, atSeconds }) =>
        stage === marker && !failure && atSeconds >= before,
    );
    if (seen === undefined) return [];
    const value = seen.atSeconds - before;
    before = seen.atSeconds;
    return [{ name: `  ${name}`, value, unit: 's', target: null }];
  });
}
