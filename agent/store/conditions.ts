// What a store has to say to people while it lasts.

import type { Condition } from '#shared/schema/heartbeat.ts';

export const VERITY_UNAVAILABLE: Condition = {
  code: 'VERITY_UNAVAILABLE',
  text: 'files of modules are checked when they arrive and at boot, but not by the kernel at each read',
  hint: 'use ext4 made with `mkfs.ext4 -O verity -b 4096` on a kernel with CONFIG_FS_VERITY',
};
