// Looks for processes that services and containers have left, in the tree of control groups. Ends none.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { namesIn, textOrNull } from '../identity/source-file.ts';
import type { Seen } from './seen.ts';

export interface ProcessesOptions {
  readonly root?: string;
  readonly proc?: string;
}

/** Units of modules, but not this agent's; containers as either cgroup driver of Docker names them. */
const GROUP =
  /^(billet-(?!agent\.|coordinator\.).+\.service|docker-[0-9a-f]{64}\.scope|[0-9a-f]{64})$/;
/** Those of pods are the cluster's to know. */
const NOT_OURS = /^kubepods/;
const DEPTH = 5;
const NAMES = 8;

export function processesIn({ root = '/sys/fs/cgroup', proc = '/proc' }: ProcessesOptions = {}) {
  async function groups(dir: string, depth: number): Promise<string[]> {
    if (depth === 0) return [];
    const below: string[] = [];
    for (const name of await directories(dir))
      if (GROUP.test(name)) below.push(join(dir, name));
      else if (!NOT_OURS.test(name)) below.push(...(await groups(join(dir, name), depth - 1)));
    return below;
  }

  async function pids(dir: string): Promise<string[]> {
    const own = ((await textOrNull(join(dir, 'cgroup.procs'))) ?? '').split('\n');
    const below = await Promise.all((await directories(dir)).map((name) => pids(join(dir, name))));
    return [...own.filter((pid) => pid !== ''), ...below.flat()];
  }

  const nameOf = async (pid: string) =>
    (await textOrNull(join(proc, pid, 'comm')))?.trim() || `process ${pid}`;

  /** Groups that have processes, with the names of some of those. */
  return async (): Promise<Seen['processes']> => {
    const found: { group: string; names: string[] }[] = [];
    for (const dir of await groups(await hierarchy(root), DEPTH)) {
      const all = await pids(dir);
      if (all.length === 0) continue;
      const names = await Promise.all(all.slice(0, NAMES).map(nameOf));
      found.push({ group: dir.split('/').at(-1) ?? dir, names });
    }
    return found;
  };
}

/** cgroups(7): the unified hierarchy, or systemd's own where there are several. */
async function hierarchy(root: string): Promise<string> {
  const names = await namesIn(root);
  return !names.includes('cgroup.controllers') && names.includes('systemd')
    ? join(root, 'systemd')
    : root;
}

/** None where the group has gone since. */
async function directories(dir: string): Promise<string[]> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}
