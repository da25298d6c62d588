// Many things at once, but not all of them. Knows nothing of what they are.

/** `work` of 0 to count - 1, `width` at a time. The first error ends it, after what runs has ended. */
export async function inParallel(
  count: number,
  width: number,
  signal: AbortSignal,
  work: (n: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failed: { readonly error: unknown } | null = null;
  const worker = async () => {
    for (let n = next++; n < count && failed === null && !signal.aborted; n = next++)
      await work(n).catch((error) => {
        failed ??= { error };
      });
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker));
  signal.throwIfAborted();
  if (failed !== null) throw (failed as { readonly error: unknown }).error;
}

/** Lets `width` of what it is given run; the others wait in their order. */
export function limiter(width: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const queue: (() => void)[] = [];
  return async (work) => {
    if (running >= width) await new Promise<void>((resolve) => queue.push(resolve));
    else running += 1;
    try {
      return await work();
    } finally {
      const next = queue.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
