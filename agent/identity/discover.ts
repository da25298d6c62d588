// Asks the strategies in order who this machine is. The first that says anything has to say all of
// it: identities are never mixed from several sources.

import { BilletError } from '#shared/errors.ts';
import { Identity } from '#shared/schema/identity.ts';
import { cmdlineStrategy } from './cmdline.ts';
import { fileStrategy } from './file.ts';
import { fwCfgStrategy } from './fw-cfg.ts';
import { smbiosStrategy } from './smbios.ts';
import type { IdentityStrategy, IdentityValues } from './strategy.ts';

export interface Discovered {
  readonly identity: Identity;
  /** Name of the strategy. */
  readonly source: string;
}

/** The order of the design; `root` stands before every path that is read. */
export const standardStrategies = (root = '/'): readonly IdentityStrategy[] => [
  cmdlineStrategy({ root }),
  fwCfgStrategy({ root }),
  smbiosStrategy({ root }),
  fileStrategy({ root }),
];

/**
 * Throws IDENTITY_MISSING when no strategy says anything, CONFIG_INVALID when the first one that
 * does leaves a key out or gives a value that cannot be. Secrets are not in messages.
 */
export async function discoverIdentity(
  strategies: readonly IdentityStrategy[],
  signal: AbortSignal,
): Promise<Discovered> {
  for (const strategy of strategies) {
    signal.throwIfAborted();
    const values = await strategy.read(signal);
    if (values !== null) return { identity: complete(values, strategy), source: strategy.name };
  }
  throw new BilletError(
    'IDENTITY_MISSING',
    `none of ${strategies.map(({ name }) => name).join(', ')} says who this machine is`,
    {
      hint: `give coordinator, ca, instance and token, e.g. by ${strategies[0]?.place ?? 'a file'}; \`billet token create\` prints them`,
    },
  );
}

function complete(values: IdentityValues, { name, place }: IdentityStrategy): Identity {
  const parsed = Identity.safeParse(values);
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
