// Keeps the CAs of a context file those of its coordinator while the CA is rotated. What it writes
// comes over a connection that the file's own CAs verified, or has the fingerprint that a person gave.

import { readFile, rename, writeFile } from 'node:fs/promises';
import { Agent } from 'undici';
import { routeClient } from '#shared/client/route-client.ts';
import type { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { routes } from '#shared/routes/table.ts';
import type { CaState } from '#shared/schema/records.ts';
import { issuerIn, readBundle } from '#shared/trust-bundle.ts';
import type { Coordinator } from './client.ts';
import type { CommandIo } from './command-io.ts';
import { type Context, type LoadedContext, parseContext } from './context.ts';

/**
 * After a command: writes the context's file anew when its CAs are not the coordinator's. Asks only
 * where a rotation shows: a server whose CA the file does not name, or a file that names two.
 */
export async function followCa(io: CommandIo, coordinator: Coordinator): Promise<void> {
  const { shown, context } = coordinator;
  if (shown === null) return;
  await orWarn(io, context, async () => {
    const known = readBundle((await readContext(context)).ca);
    if (known.length === 1 && issuerIn(known, shown) !== null) return;
    await trust(context, await coordinator.call(routes.getCa, {}));
  });
}

/** The same, where the coordinator has just said which CAs there are: the issuing one first. */
export const trustAuthorities = (
  io: CommandIo,
  { context }: Coordinator,
  { authorities }: CaState,
): Promise<void> =>
  orWarn(io, context, () => trust(context, authorities.map(({ pem }) => pem).join('')));

/** Never fails the command, which is done; says what could not be. */
async function orWarn(
  io: CommandIo,
  { file }: LoadedContext,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    io.stderr.write(
      `warning: the coordinator has another CA than ${file}, which could not be written: ${why}\n`,
    );
  }
}

async function trust(context: LoadedContext, bundle: string): Promise<void> {
  const { ca, ...rest } = await readContext(context);
  if (readBundle(bundle).length === 0 || bundle.trim() === ca.trim()) return;
  await writeContextFile(context.file, { ...rest, ca: bundle });
}

/** As it lies there now: this command, or another one, may have written it. */
const readContext = async ({ file }: LoadedContext): Promise<Context> =>
  parseContext(await readFile(file, 'utf8'), file);

/** The CA of that fingerprint, as the coordinator at `url` names it. CA_PIN_MISMATCH, LINK_DOWN. */
export async function pinnedCa(io: CommandIo, url: string, fingerprint: Digest): Promise<string> {
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
  try {
    const client = routeClient({ dispatcher, baseUrl: url });
    const reply = await client.call(routes.getCa, { signal: io.signal });
    const named = readBundle(reply?.body ?? '');
    const found = named.find((one) => one.fingerprint === fingerprint);
    if (found) return found.pem;
    const shown = named.map((one) => one.fingerprint).join(' and ') || '(none)';
    throw new BilletError('CA_PIN_MISMATCH', `${url} shows the CA ${shown}`, {
      hint: 'compare with what `billet ca show` prints on the machine of the coordinator',
      details: { pinned: fingerprint },
    });
  } finally {
    await dispatcher.destroy();
  }
}

/** Whole or not at all: the secret is in no other place. */
export async function writeContextFile(file: string, context: Context): Promise<void> {
  const fresh = `${file}.new`;
  await writeFile(fresh, `${JSON.stringify(context, null, 2)}\n`, { mode: 0o600, flush: true });
  await rename(fresh, file);
}
