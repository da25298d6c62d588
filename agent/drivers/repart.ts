// systemd-repart(8): a partition table and file systems by definitions, on a disk that may be lost.

import { type Exec, execOrThrow } from './exec.ts';

export interface RepartRequest {
  readonly device: string;
  /** A folder of definitions, repart.d(5). */
  readonly definitions: string;
  /** A UUID: GUIDs of disk and partitions follow from it. */
  readonly seed: string;
}

/** fs-verity needs both. */
const EXT4 = '-O verity -b 4096';

/**
 * Makes all file systems first and writes the partition table at the end: a table that is there tells
 * that everything is. Nothing is discarded: the gap before the first partition keeps what is in it.
 * Throws COMMAND_FAILED.
 */
export async function repart(
  exec: Exec,
  { device, definitions, seed }: RepartRequest,
  signal: AbortSignal,
): Promise<void> {
  const how = ['--dry-run=no', '--empty=force', '--discard=no', '--no-pager', '--no-legend'];
  await execOrThrow(
    exec,
    [
      ...(['env', `SYSTEMD_REPART_MKFS_OPTIONS_EXT4=${EXT4}`, 'systemd-repart'] as const),
      ...[`--definitions=${definitions}`, `--seed=${seed}`, ...how, device],
    ],
    signal,
    'look at the disk: dmesg | tail',
  );
}
