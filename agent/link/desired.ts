// Fetches the desired state, reads its envelope, and keeps the last one on disk for the time when no
// coordinator answers. Decides nothing about it.

import { join } from 'node:path';
import { z } from 'zod';
import type { RouteClient } from '#shared/client/route-client.ts';
import { BilletError } from '#shared/errors.ts';
import { getDesired } from '#shared/routes/node.ts';
import { Desired, type Envelope } from '#shared/schema/desired.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { writeFileAtomic } from '../drivers/files.ts';
import { textOrNull } from '../identity/source-file.ts';

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
    ...(etag === null ? {} : { etag }),
    timeoutMs: (waitSeconds + 30) * 1000,
    signal,
  });
  return reply === null ? null : { etag: reply.etag ?? '', reply: reply.body };
}

/** The payload of an envelope. Throws BODY_INVALID when it is not a desired state of `instance`. */
export function readEnvelope(envelope: Envelope, instance: InstanceId): Desired {
  const parsed = Desired.safeParse(
    jsonOf(Buffer.from(envelope.payload, 'base64').toString('utf8')),
  );
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(`${issue?.path.join('.')}: ${issue?.message}`, parsed.error);
  }
  if (parsed.data.instance !== instance) throw invalid(`it is for ${parsed.data.instance}`, null);
  return parsed.data;
}

export interface DesiredFile {
  load(): Promise<DesiredDocument | null>;
  /** Writes only what differs from what lies there. */
  save(document: DesiredDocument): Promise<void>;
}

/** `desired.json` in `dir`. A file that cannot be read counts as none: the coordinator has it. */
export function desiredFile(dir: string): DesiredFile {
  const path = join(dir, 'desired.json');
  return {
    async load() {
      const text = await textOrNull(path);
      return text === null ? null : (DesiredDocument.safeParse(jsonOf(text)).data ?? null);
    },
    async save(document) {
      const text = JSON.stringify(document);
      if ((await textOrNull(path)) !== text) await writeFileAtomic(path, text, { mode: 0o600 });
    },
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function invalid(why: string, cause: unknown): BilletError {
  return new BilletError('BODY_INVALID', `the desired state cannot be read: ${why}`, {
    hint: 'compare the versions of agent and coordinator',
    cause,
  });
}
