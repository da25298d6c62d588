// What is on a disk after an installation, as a person would look: its table, its files, its journal.

import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '#shared/digest.ts';
import { seeDisks } from '../../agent/install/observe.ts';
import { layoutOf } from '../../agent/install/seen.ts';
import { mounted } from '../../agent/install/step.ts';
import type { TestDisk, TestMachine } from './install-disk-fixture.ts';

export interface Inspected {
  readonly diskGuid: string | undefined;
  readonly partitions: readonly string[];
  readonly done: readonly string[];
  /** Digests by path. */
  readonly esp: Readonly<Record<string, string>>;
  readonly persist: Readonly<Record<string, string>>;
}

const signal = new AbortController().signal;

export async function inspect({ ports }: TestMachine, disk: TestDisk): Promise<Inspected> {
  const seen = (await seeDisks(ports, signal)).find((each) => each.disk.name === disk.name);
  const layout = seen === undefined ? null : layoutOf(seen);
  if (seen === undefined || layout === null) throw new TypeError(`${disk.name} has no layout`);
  const tree = (device: string) => mounted(ports, { device, type: 'ext4' }, filesIn);
  return {
    diskGuid: seen.gpt?.diskGuid,
    partitions: (seen.gpt?.partitions ?? []).map(({ name }) => name),
    done: seen.record?.done ?? [],
    esp: await tree(layout.esp),
    persist: await tree(layout.persist),
  };
}

async function filesIn(dir: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of (await readdir(dir, { recursive: true })).sort()) {
    const at = join(dir, name);
    const { mode } = await stat(at);
    if ((await stat(at)).isFile())
      found[name] = `${(mode & 0o777).toString(8)} ${sha256(await readFile(at)).slice(7, 19)}`;
  }
  return found;
}

/** Changes with every write to the disk. */
export async function writesOf({ dir }: TestMachine): Promise<string> {
  const images = (await readdir(dir)).filter((name) => name.endsWith('.img')).sort();
  const stats = await Promise.all(images.map((name) => stat(join(dir, name), { bigint: true })));
  return stats.map(({ mtimeNs, blocks }) => `${mtimeNs} ${blocks}`).join(', ');
}
