// A coordinator of the lab with two nodes whose systems are NixOS closures: one that runs, and one that is
// to be installed onto a disk.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Instance } from '../../shared/schema/records.ts';
import { fleetGround, type GuestFleet } from '../package/guest-fleet.ts';

export const NODE = 'nixos-1';
export const BLANK = { node: 'nixos-2', serial: 'target' } as const;

export interface NixosFleet extends GuestFleet {
  /** Signs bundles as the trust policy has it. */
  readonly releaseKey: string;
}

export interface NixosFleetOptions {
  /** Of the binary cache. */
  readonly key: string;
  /** What the blank machine's closure is, as a node's spec has it. */
  readonly blankClosure: object;
}

/** JSON is YAML (yaml.org/spec/1.2.2, §1.3). */
const yaml = (documents: readonly object[]) =>
  documents.map((each) => JSON.stringify(each)).join('\n---\n');
const document = (kind: string, name: string, spec: object) => ({ kind, name, spec });

export async function nixosFleet(
  dir: string,
  signal: AbortSignal,
  { key, blankClosure }: NixosFleetOptions,
): Promise<NixosFleet> {
  const { fleet, policy, releaseKey } = await fleetGround(dir, signal, { nixKeys: [key] });
  const { billet } = fleet;
  const plan = { profile: 'nixos-disko', disk: { serial: BLANK.serial } };
  const documents = join(dir, 'fleet.yaml');
  await writeFile(
    documents,
    yaml([
      document('Architecture', 'amd64', { machine: 'x86_64', oci: 'amd64' }),
      document('Platform', 'nixos', { architecture: 'amd64' }),
      document('Template', 'nixos', { platform: 'nixos', modules: [] }),
      document('Class', 'disko', { template: 'nixos', install: plan }),
      document('Pool', 'disko', { class: 'disko' }),
      document('Node', BLANK.node, { pool: 'disko', closure: blankClosure }),
      document('Node', NODE, {}),
    ]),
  );
  await billet('apply', '-f', documents, '--set', 'nixos');
  const identity = async (node: string): Promise<string> => {
    const file = join(dir, `${node}.json`);
    await billet('token', 'create', node, '--write', file);
    return file;
  };
  const instance = Instance.parse(await billet('instance', 'create', NODE));
  await billet('instance', 'create', BLANK.node);
  return {
    ...{ fleet, node: NODE, instance, policy, releaseKey },
    identity: await identity(NODE),
    files: [{ name: 'blank.json', from: await identity(BLANK.node) }],
  };
}
