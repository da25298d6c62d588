// Asks the strategies in order who this machine is. The first that says anything has to say all of it:
// identities are never mixed from several sources. One seam there is, where nothing can be mixed: whom to
// trust (coordinator and ca) may be baked into the boot image, and who the machine is (instance and token)
// be given at boot. Each half comes whole from one source.

import { BilletError } from '#shared/errors.ts';
import type { CloudMachine } from '#shared/schema/facts.ts';
import { Identity, SourceIdentity } from '#shared/schema/identity.ts';
import type { IdentityStrategy, IdentityValues } from './strategy.ts';

export interface Discovered {
  readonly identity: SourceIdentity;
  /** Name of the strategy; of both where the boot image says whom to trust. */
  readonly source: string;
  /** Where the source is a cloud's. */
  readonly cloud?: CloudMachine;
}

/**
 * A metadata service that fails is passed over: a later source may speak. Throws IDENTITY_MISSING
 * when none says anything (METADATA_FAILED when one failed), CONFIG_INVALID when the first that does
 * leaves a key out or gives a value that cannot be. Secrets are not in messages.
 */
export async function discoverIdentity(
  strategies: readonly IdentityStrategy[],
  signal: AbortSignal,
): Promise<Discovered> {
  let failed: BilletError | null = null;
  for (const strategy of strategies) {
    signal.throwIfAborted();
    try {
      const values = await strategy.read(signal);
      if (values === null) continue;
      const anchor = trustsNobody(values) ? await anchorOf(strategies, signal) : null;
      if (anchor === null) return await discovered(strategy, values, signal);
      const name = `${strategy.name}+${anchor.name}`;
      return await discovered({ ...strategy, name }, { ...anchor.values, ...values }, signal);
    } catch (error) {
      if (!(error instanceof BilletError) || error.code !== 'METADATA_FAILED') throw error;
      failed ??= error;
    }
  }
  if (failed !== null) throw failed;
  throw new BilletError(
    'IDENTITY_MISSING',
    `none of ${strategies.map(({ name }) => name).join(', ')} says who this machine is`,
    {
      hint: `give coordinator, ca, instance and token, e.g. by ${strategies[0]?.place ?? 'a file'}; \`billet token create\` prints them. With coordinator and ca alone the machine asks to be claimed`,
    },
  );
}

const trustsNobody = ({ coordinator, ca }: IdentityValues) =>
  coordinator === undefined && ca === undefined;

/** What says whom to trust, for a source that says only who the machine is. */
async function anchorOf(strategies: readonly IdentityStrategy[], signal: AbortSignal) {
  for (const strategy of strategies.filter(({ isAnchor }) => isAnchor)) {
    const values = await strategy.read(signal);
    if (values !== null) return { name: strategy.name, values };
  }
  return null;
}

async function discovered(
  strategy: IdentityStrategy,
  values: IdentityValues,
  signal: AbortSignal,
): Promise<Discovered> {
  const identity = complete(values, strategy);
  const cloud = (await strategy.machine?.(signal)) ?? null;
  return { identity, source: strategy.name, ...(cloud === null ? {} : { cloud }) };
}

function complete(values: IdentityValues, { name, place }: IdentityStrategy): SourceIdentity {
  // A token is of one instance, and says nothing without it.
  const schema = values.token === undefined ? SourceIdentity : Identity;
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => {
    const key = issue.path.join('.');
    return Object.hasOwn(values, key)
      ? `${key} is not valid (${issue.message})`
      : `${key} is missing`;
  });
  throw new BilletError('CONFIG_INVALID', `the identity from ${name}: ${faults.join('; ')}`, {
    hint: `set all keys in one source: ${place}`,
    details: { source: name, found: Object.keys(values) },
  });
}
