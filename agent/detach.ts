// `detach`: stops and unmounts every service module of a machine whose agent does not run, so that the
// agent can be taken away and leaves nothing running. Removes no module from the store, and no data.

import { BilletError } from '#shared/errors.ts';
import { askStatus } from './ask.ts';
import { type AttachmentsDeps, attachments } from './reconcile/services.ts';
import { stopOrder } from './reconcile/stop-order.ts';

/**
 * Resolves once nothing of any module runs or is mounted; the names of those that were. Throws
 * CONFLICT while an agent runs, which would bring them back at once, and UNIT_FAILED with the others
 * as they were.
 */
export async function detachAll(deps: AttachmentsDeps, signal: AbortSignal): Promise<string[]> {
  await assertNoAgent(deps.runDir);
  const attached = attachments(deps);
  const known = (await attached.records()).map(({ module: { name }, requires }) => ({
    name,
    requires,
  }));
  const recorded = new Set(known.map(({ name }) => name));
  const left = (await attached.names()).filter((name) => !recorded.has(name));
  const order = [...left, ...stopOrder(known)];
  for (const name of order) await attached.detach(name, signal);
  return order;
}

async function assertNoAgent(runDir: string): Promise<void> {
  try {
    await askStatus(runDir, true);
  } catch (error) {
    if (error instanceof BilletError && error.code === 'UNAVAILABLE') return;
    throw error;
  }
  throw new BilletError('CONFLICT', 'the agent runs, and would attach the modules again', {
    hint: 'systemctl stop billet-agent.service, then run this again',
  });
}
