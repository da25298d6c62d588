// A lock of one process: any number of shared holders, or one that is alone. First come, first
// served, so that a waiting garbage collection is not starved.

export interface SharedOrAlone {
  shared<T>(work: () => Promise<T>): Promise<T>;
  alone<T>(work: () => Promise<T>): Promise<T>;
}

export function sharedOrAlone(): SharedOrAlone {
  let lastAlone: Promise<unknown> = Promise.resolve();
  let sharers: Promise<unknown>[] = [];

  const settled = (work: Promise<unknown>): Promise<void> =>
    work.then(
      () => undefined,
      () => undefined,
    );

  return {
    shared(work) {
      const running = lastAlone.then(work);
      const done = settled(running);
      sharers.push(done);
      void done.then(() => {
        sharers = sharers.filter((each) => each !== done);
      });
      return running;
    },
    alone(work) {
      const running = Promise.all([lastAlone, ...sharers]).then(work);
      lastAlone = settled(running);
      return running;
    },
  };
}
