// Calls that end in time, whatever the other side does. A call that ignores its signal is left behind:
// the next one names the same operation, so that nothing is made twice.

import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';

/** PROVIDER_TIMEOUT after `limitMs`; the reason of `signal` when that aborts first. */
export async function limited<T>(
  clock: Clock,
  wanted: { readonly what: string; readonly limitMs: number; readonly signal: AbortSignal },
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { what, limitMs, signal } = wanted;
  const done = new AbortController();
  const stop = AbortSignal.any([signal, done.signal]);
  const late = clock.sleep(limitMs, stop).then(() => {
    throw new BilletError('PROVIDER_TIMEOUT', `${what} took more than ${limitMs / 1000} s`, {
      hint: 'it is tried again; look at the provider itself, and at billet provider list',
    });
  });
  late.catch(() => undefined);
  const called = call(stop);
  called.catch(() => undefined);
  try {
    return await Promise.race([called, late]);
  } finally {
    done.abort();
  }
}
