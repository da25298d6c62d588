// Observes what a smoke test runs on and with: this machine, its tools, the image. Changes nothing.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { arch, cpus, release, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { BilletError } from '#shared/errors.ts';
import { VERSION } from '#shared/version.ts';
import { runTool } from './drivers/run-tool.ts';

/** What a transport or an operator may use, and how each says its version. */
const TOOLS: readonly (readonly [string, ...string[]])[] = [
  ['qemu-system-x86_64', '--version'],
  ['swtpm', '--version'],
  ['ipmitool', '-V'],
  ['stty', '--version'],
];
const TOOL_LIMIT_MS = 10_000;

export interface ImageFile {
  readonly path: string;
  readonly bytes: number;
  readonly digest: string;
}

export interface Environment {
  readonly billet: string;
  readonly node: string;
  readonly host: {
    readonly kernel: string;
    readonly arch: string;
    readonly cpus: number;
    readonly memoryBytes: number;
  };
  /** First line of what each says of itself; null where it is not installed. */
  readonly tools: Readonly<Record<string, string | null>>;
  readonly image: ImageFile | null;
}

export async function observeEnvironment(
  iso: string | undefined,
  signal: AbortSignal,
): Promise<Environment> {
  const tools = await Promise.all(
    TOOLS.map(async (argv) => [argv[0], await versionOf(argv, signal)] as const),
  );
  return {
    billet: VERSION,
    node: process.versions.node,
    host: { kernel: release(), arch: arch(), cpus: cpus().length, memoryBytes: totalmem() },
    tools: Object.fromEntries(tools),
    image: iso === undefined ? null : await imageFile(iso, signal),
  };
}

async function versionOf(
  argv: readonly [string, ...string[]],
  signal: AbortSignal,
): Promise<string | null> {
  const ran = await runTool(argv, { signal, timeoutMs: TOOL_LIMIT_MS });
  if (ran === null) return null;
  return `${ran.stdout}${ran.stderr}`.split('\n')[0]?.trim() ?? '';
}

/** Throws ARGUMENT_INVALID where there is no such file. */
async function imageFile(iso: string, signal: AbortSignal): Promise<ImageFile> {
  const path = resolve(iso);
  const hash = createHash('sha256');
  try {
    const { size } = await stat(path);
    await pipeline(createReadStream(path), hash, { signal });
    return { path, bytes: size, digest: `sha256:${hash.digest('hex')}` };
  } catch (cause) {
    signal.throwIfAborted();
    throw new BilletError('ARGUMENT_INVALID', `cannot read the image ${path}`, {
      hint: 'billet image build makes it; npm run hardware-smoke makes one for QEMU',
      cause,
    });
  }
}
