// Reads what the kernel says of this machine: facts for enrollment, figures for heartbeats. Reads
// /proc and /sys below a root; changes nothing.

import { join } from 'node:path';
import type { Facts } from '#shared/schema/facts.ts';
import { MacAddress } from '#shared/schema/ids.ts';
import { bytesOrNull, namesIn, textOrNull } from '../identity/source-file.ts';
import { observeDisks } from './disks.ts';
import { exists } from './files.ts';

export interface Vitals {
  readonly uptimeSeconds: number;
  readonly load1?: number;
  readonly memoryTotalBytes?: number;
  readonly memoryAvailableBytes?: number;
  /** Those that run, where others know of an engine. */
  readonly containers?: string[];
}

export interface Host {
  /** Without keySurvives and cloud, which others know. */
  facts(): Promise<Facts>;
  vitals(): Promise<Vitals>;
  /** Another one is another boot. */
  bootId(): Promise<string>;
}

export interface HostOptions {
  readonly root?: string;
  /** As uname(2) says. */
  readonly architecture: string;
}

const TEXT_MAX = 256;

export function linuxHost({ root = '/', architecture }: HostOptions): Host {
  const text = async (path: string) => {
    const found = (await textOrNull(join(root, path)))?.replace(/\0+$/, '').trim();
    return found === undefined || found === '' ? undefined : found.slice(0, TEXT_MAX);
  };

  async function macs(): Promise<MacAddress[]> {
    const found = new Set<MacAddress>();
    for (const name of await namesIn(join(root, 'sys/class/net'))) {
      // Without a device it is a bridge, a tunnel or the loopback.
      if (!(await exists(join(root, 'sys/class/net', name, 'device')))) continue;
      const mac = MacAddress.safeParse(await text(`sys/class/net/${name}/address`));
      if (mac.success) found.add(mac.data);
    }
    return [...found].slice(0, 64);
  }

  async function dmi(): Promise<Facts['dmi']> {
    const at = 'sys/class/dmi/id';
    return compact({
      vendor: await text(`${at}/sys_vendor`),
      product: await text(`${at}/product_name`),
      serial: await text(`${at}/product_serial`),
      uuid: (await text(`${at}/product_uuid`))?.toLowerCase(),
      assetTag: await text(`${at}/chassis_asset_tag`),
    });
  }

  return {
    async facts() {
      const cpus = (await textOrNull(join(root, 'proc/cpuinfo'))) ?? '';
      const meminfo = (await textOrNull(join(root, 'proc/meminfo'))) ?? '';
      const efi = await exists(join(root, 'sys/firmware/efi'));
      const firmware: Facts['firmware'] = efi ? 'uefi' : 'bios';
      return compact({
        architecture,
        kernelRelease: (await text('proc/sys/kernel/osrelease')) ?? 'unknown',
        firmware,
        secureBoot: await secureBoot(root),
        cpuModel: /^model name\s*:\s*(.+)$/m.exec(cpus)?.[1]?.slice(0, TEXT_MAX),
        cpuCount: Math.max(1, cpus.match(/^processor\s*:/gm)?.length ?? 0),
        memoryBytes: Math.max(1, memory(meminfo, 'MemTotal') ?? 0),
        dmi: await dmi(),
        macs: await macs(),
        disks: (await observeDisks({ root })).map(({ disk }) => disk).slice(0, 256),
      } satisfies Record<keyof Omit<Facts, 'keySurvives' | 'cloud'>, unknown>);
    },

    async vitals() {
      const [uptime, load, meminfo] = await Promise.all([
        text('proc/uptime'),
        text('proc/loadavg'),
        textOrNull(join(root, 'proc/meminfo')),
      ]);
      return compact({
        uptimeSeconds: Number.parseFloat(uptime ?? '0'),
        load1: load === undefined ? undefined : Number.parseFloat(load),
        memoryTotalBytes: memory(meminfo ?? '', 'MemTotal'),
        memoryAvailableBytes: memory(meminfo ?? '', 'MemAvailable'),
      });
    },

    bootId: async () => (await text('proc/sys/kernel/random/boot_id')) ?? '',
  };
}

/** UEFI 2.10 §3.3: the variable SecureBoot is 1 while firmware enforces; 4 attribute bytes precede. */
async function secureBoot(root: string): Promise<boolean> {
  const name = 'SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c';
  const value = await bytesOrNull(join(root, 'sys/firmware/efi/efivars', name));
  return value?.[4] === 1;
}

/** A line of proc_meminfo(5), in bytes. */
function memory(meminfo: string, key: string): number | undefined {
  const kibibytes = new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(meminfo)?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}

type Compact<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** Without the keys whose value is undefined: absent means not readable. */
function compact<T extends object>(value: T): Compact<T> {
  return Object.fromEntries(
    Object.entries(value).filter(([, each]) => each !== undefined),
  ) as Compact<T>;
}
