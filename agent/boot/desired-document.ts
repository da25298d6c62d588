// The desired state of this boot: from the coordinator, else the one that an earlier boot kept.

import { BilletError } from '#shared/errors.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { assertNotOlder, type DesiredDocument, desiredFile } from '../link/desired.ts';
import type { BootPorts, Uplink } from './ports.ts';
import { withDeadline } from './stage.ts';

export interface Found {
  readonly document: DesiredDocument;
  /** It is the kept one: the coordinator was not to be reached. */
  readonly offline: boolean;
}

/** With a kept one at hand, the coordinator gets this long. */
const ASK_MS = 20_000;

/** Throws LINK_DOWN and the like when there is neither, and what the coordinator answers. */
export async function desiredDocument(
  ports: BootPorts,
  { uplink, instance }: { readonly uplink: Uplink | null; readonly instance: InstanceId },
  signal: AbortSignal,
): Promise<Found> {
  const file = desiredFile(ports.paths.state);
  const kept = await file.load();
  for (const each of file.damage) ports.log.failure('desired', each);
  if (uplink === null && kept !== null) return offline(ports, kept);
  try {
    const ask = (deadline: AbortSignal) => fetchFrom(uplink, deadline);
    const document = await (kept === null
      ? ask(signal)
      : withDeadline(ports.clock, 'desired', ASK_MS, ask, signal));
    assertNotOlder(document, kept, instance);
    // A disk that is full does not keep a machine from booting what it has just been told.
    await file.save(document).catch((error: unknown) => ports.log.failure('desired', error));
    ports.log.marker('desired', { etag: document.etag, offline: false });
    return { document, offline: false };
  } catch (error) {
    signal.throwIfAborted();
    if (kept === null || !isAway(error)) throw error;
    ports.log.failure('desired', error);
    return offline(ports, kept);
  }
}

/** Whether an earlier boot on this disk left something to boot from. */
export const hasKeptDesired = async ({ paths }: BootPorts): Promise<boolean> =>
  (await desiredFile(paths.state).load()) !== null;

/** It did not answer, as opposed to: it answered no. */
export const isAway = (error: unknown): boolean => error instanceof BilletError && error.retryable;

function offline({ log }: BootPorts, document: DesiredDocument): Found {
  log.marker('desired', { etag: document.etag, offline: true });
  return { document, offline: true };
}

async function fetchFrom(uplink: Uplink | null, signal: AbortSignal): Promise<DesiredDocument> {
  if (uplink !== null) return await uplink.fetchDesired(signal);
  throw new BilletError('LINK_DOWN', 'no certificate to ask the coordinator with', {
    hint: 'reboot the machine: it enrolls again',
  });
}
