// The agent as files that run anywhere: one for its commands, and a small one for each kind of thread
// that it starts. The same sources give the same bytes.

import { writeBundle } from './bundle.ts';

/** By name beside each other: the agent looks for its threads in its own folder. */
export const AGENT_ENTRIES = {
  agent: 'agent/main.ts',
  'journal-thread': 'agent/drivers/journal-thread-main.ts',
  'object-thread': 'agent/store/object-thread-main.ts',
};

export const AGENT_FILES = Object.keys(AGENT_ENTRIES).map((name) => `${name}.mjs`);

/** Writes AGENT_FILES into a folder. */
export async function writeAgent(dir: string): Promise<void> {
  await writeBundle(dir, { entries: AGENT_ENTRIES });
}
