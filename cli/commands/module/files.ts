// Files that module commands read and write: names in errors, modes of keys. Knows no formats.

import { readFile, writeFile } from 'node:fs/promises';
import { BilletError } from '#shared/errors.ts';

/** Throws ARGUMENT_INVALID, naming the file. */
export async function readText(file: string, what: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw fileError(`cannot read ${what} ${file}`, cause, 'name a file that is there');
  }
}

/** JSON of a file. Throws ARGUMENT_INVALID; the text is not quoted, for it may be a secret. */
export async function readJson(file: string, what: string): Promise<unknown> {
  const text = await readText(file, what);
  try {
    return JSON.parse(text);
  } catch {
    throw new BilletError('ARGUMENT_INVALID', `${what} ${file} is not JSON`, {
      hint: 'check it with `jq . FILE`',
    });
  }
}

/** Never overwrites: a key that is gone cannot be brought back. Throws ARGUMENT_INVALID. */
export async function writeNew(file: string, text: string, mode: number): Promise<void> {
  try {
    await writeFile(file, text, { mode, flag: 'wx' });
  } catch (cause) {
    throw fileError(`cannot write ${file}`, cause, 'name a file that does not exist yet');
  }
}

function fileError(message: string, cause: unknown, hint: string): BilletError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  return new BilletError('ARGUMENT_INVALID', `${message}: ${code}`, { hint, cause });
}
