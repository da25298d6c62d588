// The figures of this machine and process that limit a simulation, from /proc. Decides nothing.

import { readdir, readFile } from 'node:fs/promises';
import type { HostFigures } from './limits.ts';

/** Null where there is no /proc to read them from. */
export async function readHost(): Promise<HostFigures | null> {
  try {
    const [limits, memory, range, open] = await Promise.all([
      readFile('/proc/self/limits', 'utf8'),
      readFile('/proc/meminfo', 'utf8'),
      readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'),
      readdir('/proc/self/fd'),
    ]);
    const [first = 0, last = 0] = range.trim().split(/\s+/).map(Number);
    return {
      openFilesMax: numberIn(/^Max open files\s+(\d+|unlimited)/m, limits),
      openFiles: open.length,
      memoryAvailableBytes: numberIn(/^MemAvailable:\s+(\d+) kB/m, memory) * 1024,
      localPorts: last - first + 1,
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

const numberIn = (pattern: RegExp, text: string): number => {
  const found = pattern.exec(text)?.[1];
  return found === undefined || found === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(found);
};
