// Many pieces of work, some of them at a time.

/** The results in the order of their numbers, from 0. Rejects with the first failure. */
export async function inParallel<T>(
  count: number,
  width: number,
  work: (number: number) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let number = next++; number < count; number = next++) results[number] = await work(number);
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}
