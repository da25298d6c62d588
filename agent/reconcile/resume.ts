// What a crash left half done, and how to clear it away. Pure: the open step of the journal in,
// steps out. Everything else the next plan finds by observing.

import type { Step } from './steps.ts';

/**
 * Steps to run before the first plan. Attaching and detaching are undone to "detached", from where
 * the plan goes on; the others can be run again as they are, and the plan does where they are wanted.
 */
export function resume(open: Step | null): Step[] {
  switch (open?.kind) {
    case 'attach-service':
    case 'reattach-service':
      return [{ kind: 'detach-service', name: open.module.name }];
    case 'detach-service':
      return [open];
    case 'pull-module':
    case 'stage-system':
    case 'unstage-system':
    case 'write-settings':
    case 'restart-machine':
    case 'collect-garbage':
    case undefined:
      return [];
  }
}
