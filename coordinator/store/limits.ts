// The limits of the store contract, checked before any engine sees a commit. Holds no state.

import { BilletError } from '#shared/errors.ts';
import type { Condition, ListOptions, Write } from './store.ts';

export const MAX_KEYS = 100;
export const MAX_KEY_BYTES = 512;
export const MAX_VALUE_BYTES = 512 * 1024;
export const MAX_PAGE = 1_000;

const KEY = /^[\x21-\x7e]{1,512}$/;
const PREFIX = /^[\x21-\x7e]{0,512}$/;

const limit = (message: string, hint: string) => new BilletError('STORE_LIMIT', message, { hint });

export function assertKey(key: string): void {
  if (!KEY.test(key))
    throw limit(
      `not a key: ${JSON.stringify(key.slice(0, 80))} (${key.length} characters)`,
      `a key has 1 to ${MAX_KEY_BYTES} bytes of printable ASCII without spaces`,
    );
}

export function assertPrefix(prefix: string): void {
  if (!PREFIX.test(prefix))
    throw limit(
      `not a prefix: ${JSON.stringify(prefix.slice(0, 80))}`,
      `a prefix has up to ${MAX_KEY_BYTES} bytes of printable ASCII without spaces`,
    );
}

/** Throws STORE_LIMIT when the commit is outside what every engine can take. */
export function assertCommit(conditions: readonly Condition[], writes: readonly Write[]): void {
  const size = 'split the change, or put the bulk of it in the registry';
  if (writes.length === 0) throw limit('a commit without writes', 'write something');
  if (writes.length > MAX_KEYS || conditions.length > MAX_KEYS)
    throw limit(
      `a commit of ${writes.length} writes and ${conditions.length} conditions; each at most ${MAX_KEYS}`,
      size,
    );
  if (new Set(writes.map((write) => write.key)).size !== writes.length)
    throw limit('a commit that writes a key twice', 'write each key once, as it should end');
  for (const { key, revision } of conditions) {
    assertKey(key);
    assertRevision(revision);
  }
  for (const write of writes) {
    assertKey(write.key);
    if (write.kind === 'put') assertValue(write.key, write.value, size);
  }
}

function assertValue(key: string, value: string, hint: string): void {
  const bytes = Buffer.byteLength(value);
  if (bytes > MAX_VALUE_BYTES)
    throw limit(`the value of ${key} has ${bytes} bytes, the limit is ${MAX_VALUE_BYTES}`, hint);
  if (!value.isWellFormed() || !isJson(value))
    throw limit(`the value of ${key} is not JSON text`, 'write records through a collection');
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export function assertRevision(revision: number): void {
  if (!Number.isSafeInteger(revision) || revision < 0)
    throw limit(`not a revision: ${revision}`, 'a revision is an integer from 0');
}

/** The options of a list with their defaults; STORE_LIMIT when they make no sense. */
export function listOptions(options: ListOptions): { after: string; limit: number } {
  const { after = '', limit: wanted = MAX_PAGE } = options;
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > MAX_PAGE)
    throw limit(`a page of ${wanted} entries`, `ask for 1 to ${MAX_PAGE}`);
  assertPrefix(after);
  if (options.revision !== undefined) assertRevision(options.revision);
  return { after, limit: wanted };
}
