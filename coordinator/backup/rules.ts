// What a node shows of what it has, against what a restored store remembers of it. Pure; what it means
// for an answer or a record is decided elsewhere.

import type { Heartbeat } from '#shared/schema/heartbeat.ts';

/** Of an instance in a restored store, until its node has shown that it is not newer. */
export interface Return {
  /** Of the store that the backup was taken of. */
  readonly history: string;
  /** As of the backup. */
  readonly generation: number;
}

/** An ETag of GET /v1/node/desired, as `desiredEtag` makes it; null for anything else. */
function readEtag(tag: string): { history: string; generation: number } | null {
  const [, history, generation] = /^"([0-9a-z]{1,64})\.(\d{1,15})\.\d{1,15}"$/.exec(tag) ?? [];
  return history === undefined ? null : { history, generation: Number(generation) };
}

/**
 * The newest generation that a node says it has, and that this history has not given it; null when it
 * says nothing of any. Numbers of all histories but this one count: they only grow along with it.
 */
export function shownByTags(tags: Iterable<string>, history: string): number | null {
  const shown = [...tags].flatMap((tag) => {
    const read = readEtag(tag);
    return read === null || read.history === history ? [] : [read.generation];
  });
  return shown.length === 0 ? null : Math.max(...shown);
}

/** The same of a heartbeat: what runs, what is staged, what was judged. 0 when there is none. */
export const shownByHeartbeat = ({ generation, staged = 0, verdicts = [] }: Heartbeat): number =>
  Math.max(generation, staged, ...verdicts.map((verdict) => verdict.generation));

export const isAhead = (shown: number, { generation }: Return): boolean => shown > generation;

/** Over everything that was ever given to the node, so that it is taken for what it is: newer. */
export const generationAfter = (...known: readonly number[]): number => Math.max(...known) + 1;
