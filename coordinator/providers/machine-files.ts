// The files of machines on this host, one directory a machine. What is there is whole: a directory
// that a crash left half done is filled again by the same call.
//
//   <root>/<operation>/{order.json,kernel,initramfs,identity/…,disk-<serial>.img,console.log,started}
//   <root>/ended/<operation>     this one was terminated, and never comes back

import { constants } from 'node:fs';
import {
  access,
  copyFile,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { isAbsent } from '#shared/artifact/oci/durable-file.ts';
import { OperationKey } from '#shared/schema/provider.ts';
import { syncDirectory } from '#shared/sync-directory.ts';
import type { MachinePlan } from './hypervisor.ts';
import type { MachineOrder } from './provider.ts';

export interface MachineFiles {
  /** Writes everything that the machine starts from. Disks that are there keep their content. */
  lay(order: MachineOrder, label: LabelDisk, signal: AbortSignal): Promise<MachinePlan>;
  /** What the hypervisor would run, or runs, as JSON. */
  note(operation: OperationKey, name: string, content: unknown): Promise<void>;
  has(operation: OperationKey): Promise<boolean>;
  /** Whether the machine ran once: then it is off, and not being made. */
  wasStarted(operation: OperationKey): Promise<boolean>;
  /** From here on no call makes it any more. */
  end(operation: OperationKey): Promise<void>;
  isEnded(operation: OperationKey): Promise<boolean>;
  remove(operation: OperationKey): Promise<void>;
  list(): Promise<readonly OperationKey[]>;
}

/** Makes a file system with that label on an empty disk image. */
export type LabelDisk = (path: string, label: string, signal: AbortSignal) => Promise<void>;

export function machineFiles(root: string): MachineFiles {
  const dirOf = (operation: OperationKey) => join(root, operation);
  const endedDir = join(root, 'ended');

  const note: MachineFiles['note'] = (operation, name, content) =>
    replace(join(dirOf(operation), `${name}.json`), (path) =>
      writeFile(path, `${JSON.stringify(content, null, 2)}\n`),
    );

  async function layDisks(order: MachineOrder, label: LabelDisk, signal: AbortSignal) {
    const dir = dirOf(order.operation);
    const disks: { path: string; serial: string }[] = [];
    for (const disk of order.shape.disks) {
      const path = join(dir, `disk-${disk.serial}.img`);
      disks.push({ path, serial: disk.serial });
      if (await exists(path)) continue;
      const making = `${path}.making`;
      await writeFile(making, '', { mode: 0o600 });
      await truncate(making, disk.sizeBytes);
      if (disk.label !== null) await label(making, disk.label, signal);
      await rename(making, path);
    }
    return disks;
  }

  async function layStart({
    operation,
    start,
    shape,
  }: MachineOrder): Promise<MachinePlan['start']> {
    if (start.kind === 'network') return start;
    const dir = dirOf(operation);
    const identity = join(dir, 'identity');
    await mkdir(identity, { recursive: true, mode: 0o700 });
    const [kernel, initramfs] = [join(dir, 'kernel'), join(dir, 'initramfs')];
    // Its own copies: the registry may forget the image while the machine still boots from it.
    await replace(kernel, (path) => copyFile(start.kernel, path, constants.COPYFILE_FICLONE));
    await replace(initramfs, (path) => copyFile(start.initramfs, path, constants.COPYFILE_FICLONE));
    const files: { name: string; path: string }[] = [];
    for (const [key, value] of Object.entries(start.identity)) {
      const path = join(identity, key);
      const text = shape.identity === 'smbios' ? `billet:${key}=${value}` : value;
      await replace(path, (at) => writeFile(at, text, { mode: 0o600 }));
      files.push({ name: `billet/${key}`, path });
    }
    return {
      kind: 'direct',
      kernel,
      initramfs,
      commandLine: start.commandLine,
      fwCfg: shape.identity === 'fw_cfg' ? files : [],
      oemStringPaths: shape.identity === 'smbios' ? files.map(({ path }) => path) : [],
    };
  }

  return {
    async lay(order, label, signal) {
      const { operation, uuid, mac, shape, node, instance } = order;
      const dir = dirOf(operation);
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await note(operation, 'order', { operation, instance, node, shape, uuid, mac });
      return {
        ...{ operation, uuid, mac, dir, title: `${node} ${instance}` },
        cpuCount: shape.cpuCount,
        memoryMib: Math.ceil(shape.memoryBytes / 2 ** 20),
        console: join(dir, 'console.log'),
        disks: await layDisks(order, label, signal),
        start: await layStart(order),
      };
    },
    note,
    has: (operation) => exists(dirOf(operation)),
    wasStarted: (operation) => exists(join(dirOf(operation), 'started.json')),
    async end(operation) {
      await mkdir(endedDir, { recursive: true, mode: 0o700 });
      const file = await open(join(endedDir, operation), 'a');
      await file.sync();
      await file.close();
      await syncDirectory(endedDir);
    },
    isEnded: (operation) => exists(join(endedDir, operation)),
    remove: (operation) => rm(dirOf(operation), { recursive: true, force: true }),
    async list() {
      const names = await readdir(root).catch(noneIfAbsent);
      return names.flatMap((name) => OperationKey.safeParse(name).data ?? []);
    },
  };
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

function noneIfAbsent(error: unknown): string[] {
  if (isAbsent(error)) return [];
  throw error;
}

async function replace(path: string, write: (path: string) => Promise<void>): Promise<void> {
  const making = `${path}.making`;
  await rm(making, { force: true });
  await write(making);
  await rename(making, path);
}
