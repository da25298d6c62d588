// A passphrase or password, read from a file: other users can read a process's arguments.

import { readFile, stat } from 'node:fs/promises';
import { BilletError } from '#shared/errors.ts';

const SHORTEST = 8;

/** Its first line; null without a file. ARGUMENT_INVALID. */
export async function readPassphrase(
  file: string | undefined,
  shortest = SHORTEST,
): Promise<string | null> {
  if (file === undefined) return null;
  let text: string;
  try {
    text = await readFile(file, 'utf8');
    const { mode } = await stat(file);
    if ((mode & 0o077) !== 0) throw invalid(`others can read ${file}`, `chmod 600 ${file}`);
  } catch (cause) {
    if (cause instanceof BilletError) throw cause;
    throw invalid(
      `cannot read ${file}`,
      'name a file with the passphrase in its first line',
      cause,
    );
  }
  const [passphrase = ''] = text.split('\n');
  if (passphrase.length >= shortest) return passphrase;
  throw invalid(`the passphrase in ${file} is too short`, `take ${shortest} or more characters`);
}

const invalid = (message: string, hint: string, cause?: unknown) =>
  new BilletError('ARGUMENT_INVALID', message, { hint, cause });
