// A child of sqlite.test.ts: commits without end and prints what was acknowledged, until it is killed.

import { writeSync } from 'node:fs';
import { sqliteStore } from './sqlite.ts';

const store = sqliteStore({ path: process.argv[2] ?? '' });
const { revision } = await store.get('start');

async function writer(name: number): Promise<never> {
  for (let n = revision; ; n += 1) {
    const [key, value] = [`k/${name}-${n}`, String(n)];
    const pair = ['pair-a', 'pair-b'].map((side) => `${side}/${name}-${n % 20}`);
    const writes = [key, ...pair].map((each) => ({ kind: 'put', key: each, value }) as const);
    await store.commit([], writes);
    writeSync(1, `${key} ${value}\n`);
  }
}

await Promise.all([0, 1, 2, 3, 4].map(writer));
