// Runs endless loops side by side: they end together, by the signal or by the first that fails.

/** Runs all until the signal aborts or one of them fails; then ends the others and waits for them. */
export async function runAll(
  loops: readonly ((signal: AbortSignal) => Promise<never>)[],
  started: () => void,
  signal: AbortSignal,
): Promise<void> {
  const failed = new AbortController();
  const end = AbortSignal.any([signal, failed.signal]);
  const running = loops.map((run) =>
    run(end).catch((error: unknown) => {
      if (!end.aborted) failed.abort(error);
    }),
  );
  started();
  await Promise.all(running);
  if (failed.signal.aborted) throw failed.signal.reason;
}
