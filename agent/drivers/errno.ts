// Names of error numbers, with those that libuv, and so Node, has no name for. Names only.

import { getSystemErrorName } from 'node:util';

/** Linux include/uapi/asm-generic/errno-base.h, errno.h. */
const WITHOUT_NAME: Readonly<Record<number, string>> = {
  15: 'ENOTBLK',
  74: 'EBADMSG',
  117: 'EUCLEAN',
  122: 'EDQUOT',
  129: 'EKEYREJECTED',
};

/** E.g. ENOSPC for 28 and for -28, as Node has it. */
export const errnoName = (errno: number): string =>
  WITHOUT_NAME[Math.abs(errno)] ?? getSystemErrorName(-Math.abs(errno));
