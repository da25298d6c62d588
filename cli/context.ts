// Which coordinator a command speaks to, and as whom. Read from a file, never from the command line:
// other users can read a process's arguments.

import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { describeFaults } from '#shared/schema/faults.ts';
import type { CommandIo } from './command-io.ts';

export const Context = z.strictObject({
  /** Base URL of the coordinator, https only. */
  url: z.url({ protocol: /^https$/ }),
  /** PEM of the CA that the coordinator's certificate has to come from; no other CA counts. */
  ca: z.string().startsWith('-----BEGIN CERTIFICATE-----'),
  /** Secret of `billet credential create`. */
  credential: z
    .string()
    .regex(/^[\x21-\x7e]+$/)
    .max(512),
});
export type Context = z.infer<typeof Context>;

export interface LoadedContext extends Context {
  /** Where it lies. */
  readonly file: string;
}

/** What a coordinator writes at its first start, for root on the same machine. */
const ADMIN_CONTEXT = '/var/lib/billet/coordinator/admin.json';
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'EACCES']);

/**
 * The first of: `file`, BILLET_CONTEXT, the user's own, the local coordinator's. The first two have
 * to be there when they are named. Throws CONFIG_INVALID; ARGUMENT_INVALID when there is none.
 */
export async function loadContext(io: CommandIo, file?: string): Promise<LoadedContext> {
  const named = file ?? io.env.BILLET_CONTEXT;
  const candidates = named ? [named] : defaultFiles(io);
  for (const candidate of candidates) {
    const text = await readIfThere(candidate, named !== undefined);
    if (text === null) continue;
    await warnIfShared(io, candidate);
    return { ...parseContext(text, candidate), file: candidate };
  }
  throw new BilletError('ARGUMENT_INVALID', 'no coordinator is known', {
    hint: `on the coordinator's machine run this as root; elsewhere copy its ${ADMIN_CONTEXT} to ${candidates[0]}, or name a file with --context`,
    details: { looked: candidates },
  });
}

/** Throws CONFIG_INVALID, naming the field but never showing the secret. */
export function parseContext(text: string, file: string): Context {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, and with it the secret.
    throw invalid(file, 'not JSON');
  }
  const parsed = Context.safeParse(json);
  if (parsed.success) return parsed.data;
  throw invalid(file, describeFaults(parsed.error));
}

function defaultFiles(io: CommandIo): string[] {
  const { XDG_CONFIG_HOME: config, HOME: home } = io.env;
  const folder = config ?? (home === undefined ? null : join(home, '.config'));
  return [...(folder === null ? [] : [join(folder, 'billet/context.json')]), ADMIN_CONTEXT];
}

async function readIfThere(file: string, required: boolean): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    if (!required && ABSENT.has(code)) return null;
    throw new BilletError('ARGUMENT_INVALID', `cannot read the context ${file}: ${code}`, {
      hint: 'name a file that exists with --context or BILLET_CONTEXT',
      cause,
    });
  }
}

async function warnIfShared(io: CommandIo, file: string): Promise<void> {
  const { mode } = await stat(file);
  if ((mode & 0o077) !== 0)
    io.stderr.write(`warning: others can read the credential in ${file}: chmod 600 ${file}\n`);
}

const invalid = (file: string, why: string) =>
  new BilletError('CONFIG_INVALID', `the context ${file} is not valid: ${why}`, {
    hint: 'it has to be {"url":"https://…","ca":"-----BEGIN CERTIFICATE-----…","credential":"…"}',
    details: { file },
  });
