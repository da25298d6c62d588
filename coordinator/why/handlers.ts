// Operator side: why an instance failed.

import { isoTime } from '../ids.ts';
import type { Handlers } from '../router.ts';
import { observeStory } from './observe.ts';
import { explain } from './rules.ts';

export const whyHandlers: Pick<Handlers, 'explainInstance'> = {
  async explainInstance({ params, query }, deps) {
    const { story, looked } = await observeStory(deps, params.id, query.hours);
    return { body: { ...explain(story), looked: { ...looked, since: isoTime(looked.since) } } };
  },
};
