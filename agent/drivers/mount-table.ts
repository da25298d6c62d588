// The mount table as the reconcile loop needs it: is something mounted here, and away with it.

import type { MountTable } from '../reconcile/ports.ts';
import type { Mounts } from './mounts.ts';

export function hostMountTable(mounts: Mounts): MountTable {
  return {
    async isMounted(target) {
      return (await mounts.table()).some((entry) => entry.target === target);
    },
    async unmount(target) {
      // Detached: a process of the old version that is still ending may hold it for a moment.
      mounts.unmount(target, { detach: true });
    },
  };
}
