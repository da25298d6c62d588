// Fetches the desired state, reads its envelope, and keeps the last one on disk for the time when no
// coordinator answers. Decides nothing about it.

import { join } from 'node:path';
import { z } from 'zod';
import type { RouteClient } from '#shared/client/route-client.ts';
import { BilletError } from '#shared/errors.ts';
import { jsonOf } from '#shared/json.ts';
import { getDesired } from '#shared/routes/node.ts';
import { Desired, type Envelope } from '#shared/schema/desired.ts';
import { describeFaults } from '#shared/schema/faults.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { lostBy, readChecked, setAside, writeChecked } from '../checked-file.ts';

/** As it came: what is kept on disk and handed over through switch_root. */
export const DesiredDocument = z.object({ etag: z.string(), reply: getDesired.reply });
export type DesiredDocument = z.infer<typeof DesiredDocument>;

/**
 * The newest desired state, or null when it is still that of `etag`. With `waitSeconds` the
 * coordinator answers only once it changes.
 */
export async function fetchDesired(
  client: RouteClient,
  etag: string | null,
  signal: AbortSignal,
  waitSeconds = 0,
): Promise<DesiredDocument | null> {
  const reply = await client.call(getDesired, {
    query: { wait: waitSeconds },
    ...(etag ? { etag } : {}),
    timeoutMs: (waitSeconds + 30) * 1000,
    signal,
  });
  return reply === null ? null : { etag: usableEtag(reply.etag), reply: reply.body };
}

/** RFC 9110 §8.8.3, printable; '' for anything else: it would have to be sent back in a header. */
const usableEtag = (etag: string | null): string =>
  etag !== null && /^(?:W\/)?"[\x21\x23-\x7e]{0,250}"$/.test(etag) ? etag : '';

/** The payload of an envelope. Throws BODY_INVALID when it is not a desired state of `instance`. */
export function readEnvelope(envelope: Envelope, instance: InstanceId): Desired {
  const parsed = Desired.safeParse(
    jsonOf(Buffer.from(envelope.payload, 'base64').toString('utf8')),
  );
  if (!parsed.success) throw invalid(describeFaults(parsed.error), parsed.error);
  if (parsed.data.instance !== instance) throw invalid(`it is for ${parsed.data.instance}`, null);
  return parsed.data;
}

export interface DesiredFile {
  /** What lies there. A damaged file is set aside and counts as none: the coordinator has it. */
  load(): Promise<DesiredDocument | null>;
  /** Durable when it resolves. Writes only what differs. Throws STORE_FULL, STORE_FAILED. */
  save(document: DesiredDocument): Promise<void>;
  /** STATE_CORRUPT, once a damaged file was found. */
  readonly damage: readonly BilletError[];
}

/** `desired.json` in `dir`. */
export function desiredFile(dir: string): DesiredFile {
  const path = join(dir, 'desired.json');
  const damage: BilletError[] = [];
  return {
    damage,
    async load() {
      const found = await readChecked(path, DesiredDocument);
      if (found.kind === 'whole') return found.value;
      if (found.kind === 'damaged') {
        await setAside(path);
        const lost = 'the node does nothing new until the coordinator answers';
        damage.push(lostBy(found.damage, lost));
      }
      return null;
    },
    async save(document) {
      const found = await readChecked(path, DesiredDocument);
      const same = found.kind === 'whole' && sameJson(found.value, document);
      if (!same) await writeChecked(path, document);
    },
  };
}

/**
 * Throws DESIRED_OLDER when `next` comes before what is here: numbers only grow within one history,
 * so this is a coordinator that has yet to catch up with itself.
 */
export function assertNotOlder(
  next: DesiredDocument,
  here: DesiredDocument | null,
  instance: InstanceId,
): void {
  if (here === null) return;
  const [newer, known] = [next, here].map(({ reply }) => readEnvelope(reply.envelope, instance));
  if (newer?.history !== known?.history || !newer || !known) return;
  if (newer.generation >= known.generation) return;
  throw new BilletError(
    'DESIRED_OLDER',
    `the coordinator answers with generation ${newer.generation}, this node has had ${known.generation}`,
    {
      hint: `if its store was restored from a backup: change the node until its generation is over ${known.generation}`,
      details: { answered: newer.generation, known: known.generation },
    },
  );
}

const sameJson = (one: unknown, other: unknown): boolean =>
  JSON.stringify(one) === JSON.stringify(other);

function invalid(why: string, cause: unknown): BilletError {
  return new BilletError('BODY_INVALID', `the desired state cannot be read: ${why}`, {
    hint: 'compare the versions of agent and coordinator',
    cause,
  });
}
