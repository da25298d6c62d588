// Records what a process does to the files of one directory: strace(1) writes, this reads. Every call
// that changes a file or makes it durable becomes an event; what it does not know is an error.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** File names are relative to the traced directory, which itself is the empty name. */
export type DiskEvent =
  | { readonly kind: 'create'; readonly name: string }
  | { readonly kind: 'write'; readonly name: string; readonly at: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly name: string; readonly size: number }
  | { readonly kind: 'sync'; readonly name: string }
  | { readonly kind: 'unlink'; readonly name: string }
  | { readonly kind: 'rename'; readonly name: string; readonly to: string }
  /** A line on standard output. */
  | { readonly kind: 'said'; readonly text: string };

/** Everything by which a file changes. Those that `parse` does not know must not occur. */
const CALLS = [
  ...['openat', 'open', 'creat', 'pwrite64', 'pwritev', 'pwritev2', 'write', 'writev'],
  ...['ftruncate', 'truncate', 'fallocate', 'fsync', 'fdatasync', 'sync_file_range', 'sync'],
  ...['unlink', 'unlinkat', 'rename', 'renameat', 'renameat2', 'link', 'linkat', 'mkdir', 'mmap'],
  ...['copy_file_range', 'sendfile', 'splice', 'msync'],
];

/** What `argv` did in `directory`, in order. Rejects when it fails, or when two threads wrote there. */
export async function recordTrace(
  directory: string,
  argv: readonly string[],
): Promise<readonly DiskEvent[]> {
  const out = await mkdtemp(`${directory}-trace-`);
  try {
    const options = ['-ff', '-y', '-xx', '-s', '1000000', '--seccomp-bpf', '-e', CALLS.join(',')];
    const child = spawn('strace', [...options, '-o', join(out, 't'), ...argv], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 60_000,
    });
    child.stdout.resume();
    const [code] = await new Promise<[number | null, string | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (...how) => resolve(how));
    });
    assert.equal(code, 0, 'strace, or what it traced, failed');
    // A file a thread, so that no call is broken in two by another thread's.
    const threads = await Promise.all(
      (await readdir(out)).map(async (file) =>
        eventsOf(directory, await readFile(join(out, file), 'latin1')),
      ),
    );
    const writing = threads.filter((events) => events.some(({ kind }) => kind !== 'said'));
    assert.equal(writing.length, 1, 'one thread works on the files');
    return writing[0] ?? [];
  } finally {
    await rm(out, { recursive: true });
  }
}

function eventsOf(directory: string, text: string): DiskEvent[] {
  const known = new Set<string>();
  return text.split('\n').flatMap((line) => {
    const found = /^(\w+)\((.*)\)\s+= (-?\d+)/.exec(line);
    if (!found || Number(found[3]) < 0) return [];
    const [, call = '', rest = '', result = ''] = found;
    const event = parse(directory, known, { call, args: rest, result: Number(result) });
    return event ? [event] : [];
  });
}

interface Called {
  readonly call: string;
  readonly args: string;
  readonly result: number;
}

function parse(directory: string, known: Set<string>, called: Called): DiskEvent | null {
  const { call, args, result } = called;
  const texts = [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex = '']) => bytesOf(hex));
  const fd = /^(\d+)<((?:\\x[0-9a-f]{2})*)>/.exec(args);
  const path = fd ? bytesOf(fd[2] ?? '').toString() : (texts[0]?.toString() ?? '');
  if (call === 'write' && fd?.[1] === '1')
    return { kind: 'said', text: (texts[0]?.toString() ?? '').trimEnd() };
  if (call === 'mmap') {
    // The fifth argument is the file: private maps change nothing on disk.
    assert.ok(!(args.includes('MAP_SHARED') && args.includes(hexOf(directory))), line(called));
    return null;
  }
  const name = path === directory ? '' : basename(path);
  if (path !== directory && dirname(path) !== directory) return null;
  const numbers = args.slice(args.lastIndexOf('"') + 1).match(/-?\d+/g) ?? [];
  switch (call) {
    case 'openat':
      if (!args.includes('O_CREAT') || known.has(name)) return null;
      assert.doesNotMatch(args, /O_TRUNC/);
      known.add(name);
      return { kind: 'create', name };
    case 'pwrite64':
      assert.equal(result, texts[0]?.length, 'whole writes only');
      return { kind: 'write', name, at: Number(numbers[1]), bytes: texts[0] ?? Buffer.alloc(0) };
    case 'ftruncate':
      return { kind: 'truncate', name, size: Number(/, (\d+)$/.exec(args)?.[1]) };
    case 'fsync':
    case 'fdatasync':
      return { kind: 'sync', name };
    case 'unlink':
      known.delete(name);
      return { kind: 'unlink', name };
    case 'rename':
      return { kind: 'rename', name, to: basename(texts[1]?.toString() ?? '') };
    default:
      return assert.fail(`a call that the replay does not know: ${line(called)}`);
  }
}

const line = ({ call, args }: Called) => `${call}(${args.slice(0, 300)})`;
const bytesOf = (hex: string) => Buffer.from(hex.replaceAll('\\x', ''), 'hex');
const hexOf = (text: string) => Buffer.from(text).toString('hex').replace(/../g, '\\x$&');
