// Processes of this host that were not started by this process: found by a word of their command
// line, and ended. Linux' /proc only (proc(5)).

import { readdir, readFile } from 'node:fs/promises';

export interface HostProcess {
  readonly pid: number;
  /** Clock ticks since boot (proc_pid_stat(5), field 22): with the pid, never given twice. */
  readonly startTime: string;
}

/** Every process with its command line. */
async function processes(): Promise<readonly (HostProcess & { words: readonly string[] })[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      // A zombie has no command line, and holds nothing any more.
      const words = (await textOf(`/proc/${pid}/cmdline`)).split('\0');
      const startTime = startTimeOf(await textOf(`/proc/${pid}/stat`));
      return startTime === null ? null : { pid: Number(pid), startTime, words };
    }),
  );
  return found.filter((one) => one !== null);
}

/** Those whose command line has `word` as one of its arguments. */
export async function processesWith(word: string): Promise<readonly HostProcess[]> {
  return (await processes()).filter(({ words }) => words.includes(word));
}

/** Machines of QEMU whose command line names a file below `dir`. */
export async function processesUnder(dir: string): Promise<readonly HostProcess[]> {
  const isMachine = ([program = '']: readonly string[]) => program.includes('qemu-system-');
  const names = (words: readonly string[]) => words.some((word) => word.includes(`${dir}/`));
  return (await processes()).filter(({ words }) => isMachine(words) && names(words));
}

/** Each argument of any process that `read` makes something of. */
export async function fromArguments<T>(read: (word: string) => T | null): Promise<readonly T[]> {
  return (await processes()).flatMap(({ words }) => words.flatMap((word) => read(word) ?? []));
}

/** SIGKILL, unless the pid is another process by now. */
export async function killProcess({ pid, startTime }: HostProcess): Promise<void> {
  if (startTimeOf(await textOf(`/proc/${pid}/stat`)) !== startTime) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The name, in parentheses, may hold spaces and parentheses of its own. */
function startTimeOf(stat: string): string | null {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? null : (fields[19] ?? null);
}

/** Empty for what ended meanwhile. */
const textOf = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
