// What a trust policy decides: which keys and identities may sign a module, and how old it may be.
// Pure: knows neither signatures nor files.

import { BilletError } from '../../errors.ts';
import { describeFaults } from '../../schema/faults.ts';
import { TrustPolicy, type TrustRule } from '../../schema/trust-policy.ts';

/** Whom a certificate was issued to, and on whose word. */
export interface Identity {
  /** Subject alternative name. */
  readonly identity: string;
  readonly issuer: string;
}

export interface Trust {
  /** Public keys in PEM. */
  readonly keys: readonly string[];
  /** `identity` may be a start and `*`. */
  readonly identities: readonly Identity[];
  /** Releases with a lower sequence are refused. */
  readonly minimumSequence: number;
}

/** Reads a policy from parsed JSON. Throws POLICY_INVALID; an empty policy is one. */
export function parsePolicy(json: unknown, what = 'the trust policy'): TrustPolicy {
  const parsed = TrustPolicy.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new BilletError('POLICY_INVALID', `${what} is not valid: ${describeFaults(parsed.error)}`, {
    hint: 'write {"format":1,"mode":"enforce","rules":[{"modules":["*"],"keys":["-----BEGIN PUBLIC KEY…"]}]}',
  });
}

/**
 * What the policy says about the module `name`, or null if no rule names it. The most specific
 * pattern wins (a name before `web-*` before `*`); rules with that same pattern are joined: any of
 * their keys, the highest of their minima.
 */
export function trustFor(policy: TrustPolicy, name: string): Trust | null {
  const rules = mostSpecific(policy.rules, name);
  if (rules.length === 0) return null;
  return {
    keys: [...new Set(rules.flatMap((rule) => rule.keys.map((key) => key.pem)))],
    identities: distinct(rules.flatMap((rule) => rule.identities)),
    minimumSequence: Math.max(...rules.map((rule) => rule.minimumSequence ?? 0)),
  };
}

/** Whether a certificate for `actual` is one for `trusted`, whose identity may end in `*`. */
export const isIdentity = (trusted: Identity, actual: Identity): boolean =>
  trusted.issuer === actual.issuer &&
  (trusted.identity.endsWith('*')
    ? actual.identity.startsWith(trusted.identity.slice(0, -1))
    : actual.identity === trusted.identity);

/** All keys of the policy, each with the patterns that it may sign. For messages. */
export function patternsByKey(policy: TrustPolicy): ReadonlyMap<string, readonly string[]> {
  const patterns = new Map<string, string[]>();
  for (const rule of policy.rules)
    for (const { pem } of rule.keys)
      patterns.set(pem, [...(patterns.get(pem) ?? []), ...rule.modules]);
  return patterns;
}

/** The patterns of modules that the certificate of `actual` may sign. For messages. */
export const patternsOfIdentity = (policy: TrustPolicy, actual: Identity): readonly string[] =>
  policy.rules
    .filter(({ identities }) => identities.some((trusted) => isIdentity(trusted, actual)))
    .flatMap(({ modules }) => modules);

const distinct = (identities: readonly Identity[]): Identity[] => [
  ...new Map(
    identities.map(({ identity, issuer }) => [`${issuer} ${identity}`, { identity, issuer }]),
  ).values(),
];

function mostSpecific(rules: readonly TrustRule[], name: string): TrustRule[] {
  const longest = Math.max(
    ...rules.flatMap((rule) => rule.modules.map((pattern) => specificity(pattern, name))),
  );
  if (longest < 0) return [];
  return rules.filter((rule) =>
    rule.modules.some((pattern) => specificity(pattern, name) === longest),
  );
}

/** How closely a pattern fits: -1 not at all, else the letters that it fixes; an exact name beats every wildcard. */
function specificity(pattern: string, name: string): number {
  if (pattern === name) return Number.MAX_SAFE_INTEGER;
  if (!pattern.endsWith('*')) return -1;
  const start = pattern.slice(0, -1);
  return name.startsWith(start) ? start.length : -1;
}
