// Reads what an installation has to know of the disks: what is on them, and who uses them. Changes
// nothing, decides nothing.

import { basename } from 'node:path';
import { sha256 } from '#shared/digest.ts';
import { readDevice } from '../drivers/block-device.ts';
import type { ObservedDisk } from '../drivers/disks.ts';
import type { MountEntry } from '../drivers/mounts.ts';
import { listSignatures } from '../drivers/wipefs.ts';
import { parseGpt } from './gpt.ts';
import type { InstallPorts } from './ports.ts';
import { newestRecord, RECORD_BLOCK_BYTES, RECORD_OFFSETS } from './record.ts';
import type { SeenDisk, SeenTable } from './seen.ts';
import { NAMELESS, type Signature } from './wipe-id.ts';

/** What is looked at for data without a name: a partition table, or a database on the bare disk. */
const EDGE_BYTES = 2 ** 20;
/** Of the ISO: `BILLET` and more. */
const MEDIUM = { type: 'iso9660', label: /^BILLET/ };
/** What this agent's own LUKS is mapped to. */
const OWN_MAPPING = 'billet-persist';

type Content = Pick<SeenDisk, 'signatures' | 'gpt' | 'record' | 'bootMedium' | 'unreadable'>;

export async function seeDisks(ports: InstallPorts, signal: AbortSignal): Promise<SeenDisk[]> {
  const disks = await ports.observeDisks();
  const mounts = await ports.mounts.table();
  const seen: SeenDisk[] = [];
  for (const disk of disks)
    seen.push({
      ...disk,
      ...(await contentOf(ports, disk, signal)),
      ...(await usersOf(ports, disk, mounts)),
    });
  return seen;
}

/** No more than tables and journals. A disk that cannot be read has none. */
export async function seeTables(ports: Pick<InstallPorts, 'observeDisks'>): Promise<SeenTable[]> {
  const disks = await ports.observeDisks();
  return await Promise.all(
    disks.map(async (disk) => {
      const start = await readDevice(disk.device, 0, EDGE_BYTES).catch(() => Buffer.alloc(0));
      return { ...disk, ...tableIn(start, disk) };
    }),
  );
}

function tableIn(start: Buffer, { sectorBytes }: ObservedDisk): Pick<SeenTable, 'gpt' | 'record'> {
  const blocks = RECORD_OFFSETS.map((at) => start.subarray(at, at + RECORD_BLOCK_BYTES));
  return { gpt: parseGpt(start, sectorBytes), record: newestRecord(blocks) };
}

async function contentOf(
  { exec }: InstallPorts,
  observed: ObservedDisk,
  signal: AbortSignal,
): Promise<Content> {
  try {
    const start = await readDevice(observed.device, 0, EDGE_BYTES);
    const table = tableIn(start, observed);
    const found = await signaturesOf(exec, observed, signal);
    const signatures = found.map((each) => withGuid(each, table.gpt));
    const nameless = await namelessData(observed, start, table.record !== null);
    return {
      ...{ ...table, unreadable: null },
      signatures: signatures.length > 0 || nameless === null ? signatures : [nameless],
      bootMedium: signatures.some(
        ({ type, label = '' }) => type === MEDIUM.type && MEDIUM.label.test(label),
      ),
    };
  } catch (error) {
    signal.throwIfAborted();
    const unreadable = error instanceof Error ? error.message : String(error);
    return { signatures: [], gpt: null, record: null, bootMedium: false, unreadable };
  }
}

async function signaturesOf(
  exec: InstallPorts['exec'],
  { device, partitions }: ObservedDisk,
  signal: AbortSignal,
): Promise<Signature[]> {
  const found: Signature[] = [];
  for (const part of [{ device, startBytes: 0 }, ...partitions])
    for (const { offset, type, uuid, label } of await listSignatures(exec, part.device, signal))
      found.push({
        ...{ startBytes: part.startBytes, offset, type },
        ...(label ? { label } : {}),
        ...(uuid ? { uuid } : {}),
      });
  return found;
}

/** wipefs(8) does not say which table it is: another one, made the same way, would have the same name. */
const withGuid = (signature: Signature, gpt: SeenTable['gpt']): Signature =>
  gpt !== null && signature.startBytes === 0 && signature.type === 'gpt'
    ? { ...signature, uuid: gpt.diskGuid }
    : signature;

/** Bytes at either end that nobody has a name for, by their digest; null where there are none. */
async function namelessData(
  { device, disk: { sizeBytes } }: ObservedDisk,
  start: Buffer,
  ours: boolean,
): Promise<Signature | null> {
  const own = Buffer.from(start);
  if (ours) own.fill(0, RECORD_OFFSETS[0], RECORD_OFFSETS[1] + RECORD_BLOCK_BYTES);
  const end = await readDevice(device, Math.max(0, sizeBytes - EDGE_BYTES), EDGE_BYTES);
  if (isBlank(own) && isBlank(end)) return null;
  const digest = sha256(Buffer.concat([own, end]));
  return { startBytes: 0, offset: '0x0', type: NAMELESS, uuid: digest };
}

/** As a new disk is, or one that was erased: all bits one, or none. */
const isBlank = (bytes: Buffer): boolean =>
  bytes.equals(Buffer.alloc(bytes.length)) || bytes.equals(Buffer.alloc(bytes.length, 0xff));

async function usersOf(
  { dataDir, mappingName }: InstallPorts,
  { device, partitions, holders }: ObservedDisk,
  mounts: readonly MountEntry[],
): Promise<Pick<SeenDisk, 'holdsData' | 'users'>> {
  const mappings = await Promise.all(
    holders.map(async (holder) => ({ holder, name: await mappingName(holder) })),
  );
  const sources = new Set([
    ...[device, ...partitions.map((each) => each.device)],
    ...mappings.flatMap(({ holder, name }) => [`/dev/${holder}`, `/dev/mapper/${name}`]),
  ]);
  const targets = mounts.filter(({ source }) => sources.has(source)).map(({ target }) => target);
  const foreign = mappings.filter(({ name }) => name !== OWN_MAPPING);
  return {
    holdsData: targets.includes(dataDir),
    users: [
      ...targets.filter((target) => target !== dataDir).map((target) => `mounted on ${target}`),
      ...foreign.map(({ holder, name }) => `part of ${name ?? basename(holder)}`),
    ],
  };
}
