// A node of the lab: known to the coordinator, with a machine that is switched on for it, and eyes to
// see what becomes of it.

import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { QemuDisk, QemuSpec } from '#shared/qemu/arguments.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { Instance } from '#shared/schema/records.ts';
import type { Artifacts } from './artifacts.ts';
import type { Fleet } from './fleet.ts';
import { freePort, labCpus, type PoweredMachine, powerOn } from './power.ts';
import { openShell, SHELL_WORD, type Shell } from './shell.ts';

export interface LabNode {
  readonly name: string;
  readonly instance: InstanceId;
  readonly mac: string;
  readonly uuid: string;
  /** Of the host's loopback, forwarded to the node's port 8080. */
  readonly pageUrl: string;
}

export interface Hardware {
  /** How it boots and learns who it is: from the network, or kernel and fw_cfg from the host. */
  readonly boot: 'network' | 'direct';
  readonly disks?: readonly QemuDisk[];
  readonly parts?: Pick<QemuSpec, 'cables' | 'clock'>;
  /** With boot 'direct': further words of the kernel command line. */
  readonly words?: string;
  /** With boot 'direct': what to hand over, by name below opt/billet/. */
  readonly identity?: Readonly<Record<string, string>>;
  readonly dir: string;
  readonly signal: AbortSignal;
}

const SHELL_LIMIT_MS = 240_000;

/** Console for people and tests, and the shell that tests look with. */
const COMMAND_LINE = `console=ttyS0 quiet panic=10 ${SHELL_WORD} systemd.show_status=false`;

let macs = 0;

/** Creates node and instance with these modules (references in the fleet's registry). */
export async function createNode(
  fleet: Fleet,
  name: string,
  modules: readonly string[],
): Promise<LabNode> {
  macs += 1;
  const mac = `52:54:00:b1:11:${macs.toString(16).padStart(2, '0')}`;
  const uuid = randomUUID();
  const chosen = modules.flatMap((reference) => ['--module', reference]);
  await fleet.billet(
    'node',
    'create',
    name,
    ...chosen,
    '--boot-image',
    'boot:stable',
    '--mac',
    mac,
    '--uuid',
    uuid,
  );
  const { id } = Instance.parse(await fleet.billet('instance', 'create', name));
  return { name, instance: id, mac, uuid, pageUrl: `http://127.0.0.1:${await freePort()}/` };
}

/** Pushes modules and boot image under the tag `stable`. */
export async function pushArtifacts(fleet: Fleet, artifacts: Artifacts): Promise<void> {
  for (const [name, layout] of Object.entries(artifacts.modules))
    await fleet.billet('module', 'push', layout, `${name}:stable`);
  await fleet.billet(
    'image',
    'push',
    artifacts.boot.dir,
    'boot:stable',
    '--command-line',
    COMMAND_LINE,
  );
}

let boots = 0;

export async function switchOn(
  fleet: Fleet,
  artifacts: Artifacts,
  node: LabNode,
  hardware: Hardware,
): Promise<PoweredMachine> {
  boots += 1;
  const dir = join(hardware.dir, `boot-${boots}`);
  await mkdir(dir, { recursive: true });
  const fwCfg = [];
  for (const [key, value] of Object.entries(hardware.identity ?? {})) {
    const path = join(dir, key);
    await writeFile(path, value, { mode: 0o600 });
    fwCfg.push({ name: `billet/${key}`, path });
  }
  const { kernel, initramfs } = artifacts.boot;
  return await powerOn(
    {
      name: node.name,
      accelerator: 'tcg',
      memoryMib: 2048,
      cpus: labCpus(),
      uuid: node.uuid,
      mac: node.mac,
      disks: hardware.disks ?? [],
      ...hardware.parts,
      fwCfg,
      secondSerial: true,
      forward: [{ hostPort: Number(new URL(node.pageUrl).port), guestPort: 8080 }],
      ...(hardware.boot === 'network'
        ? { bootUrl: fleet.bootUrl }
        : {
            direct: {
              ...{ kernel, initramfs },
              commandLine: [COMMAND_LINE, hardware.words].filter(Boolean).join(' '),
            },
          }),
    },
    join(hardware.dir, `${node.name}-${boots}.log`),
    hardware.signal,
  );
}

/** A fresh token and what goes with it, as fw_cfg items. */
export async function tokenIdentity(
  fleet: Fleet,
  { instance }: LabNode,
): Promise<Record<string, string>> {
  const { secret, coordinator, ca } = (await fleet.billet('token', 'create', instance)) as Record<
    string,
    string
  >;
  if (secret === undefined || coordinator === undefined || ca === undefined)
    throw new TypeError('token create printed no secret, coordinator or ca');
  return { coordinator, ca, instance, token: secret };
}

export const shellOf = async (powered: PoweredMachine): Promise<Shell> =>
  await openShell(powered.machine.secondSerialPath, SHELL_LIMIT_MS);

/** Polls the coordinator until `wanted` holds for the instance. Throws TIMEOUT with what it last was. */
export async function untilInstance(
  fleet: Fleet,
  { instance }: LabNode,
  what: string,
  wanted: (instance: Instance) => boolean,
  timeoutMs: number,
): Promise<Instance> {
  const limit = systemClock.monotonic() + timeoutMs;
  for (;;) {
    const now = await fleet.instance(instance);
    if (wanted(now)) return now;
    if (systemClock.monotonic() > limit)
      throw new BilletError(
        'TIMEOUT',
        `not ${what} after ${timeoutMs / 1000} s: ${JSON.stringify(now)}`,
        {
          hint: 'billet events shows what happened',
        },
      );
    await delay(250);
  }
}
