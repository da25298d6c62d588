// Work that is done once, however often it is asked for.

/** The first call's work; later calls get the same promise. */
export function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null;
  return () => {
    running ??= work();
    return running;
  };
}
