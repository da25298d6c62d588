// The keys and policies that commands are given, and what they print of them. Signs and verifies nothing.

import { openSigningKey } from '#shared/artifact/signature/encrypted-key.ts';
import { readPublicKey, type SigningKey } from '#shared/artifact/signature/keys.ts';
import { parsePolicy } from '#shared/artifact/signature/policy.ts';
import type { Verified } from '#shared/artifact/signature/verify.ts';
import { BilletError } from '#shared/errors.ts';
import type { TrustPolicy } from '#shared/schema/trust-policy.ts';
import type { CommandIo } from '../../command-io.ts';
import { readJson, readText } from './files.ts';

/** Of `--key`, opened with the password of `--password-file`. */
export const signingKeyOf = async (
  io: CommandIo,
  { key, passwordFile }: { readonly key: string; readonly passwordFile?: string },
): Promise<SigningKey> =>
  openSigningKey(await readText(key, 'the key'), await passwordOf(io, passwordFile));

/** Never an argument: other users can read those. A final line feed is none of the password. */
async function passwordOf(io: CommandIo, file: string | undefined): Promise<string | null> {
  if (file === undefined) return io.env.COSIGN_PASSWORD ?? null;
  return (await readText(file, 'the password')).replace(/\r?\n$/, '');
}

/** Of `--policy`, or one that trusts the key of `--key` for everything. Throws ARGUMENT_INVALID. */
export async function policyOf({
  policy,
  key,
}: {
  readonly policy?: string;
  readonly key?: string;
}): Promise<TrustPolicy> {
  if ((policy === undefined) === (key === undefined))
    throw new BilletError('ARGUMENT_INVALID', 'give either --policy or --key', {
      hint: 'a policy names keys for modules; --key trusts one key for this check',
    });
  if (policy !== undefined) return parsePolicy(await readJson(policy, 'the policy'), policy);
  const { pem } = readPublicKey(await readText(key ?? '', 'the key'));
  return parsePolicy({ format: 1, rules: [{ modules: ['*'], keys: [pem] }] });
}

/** Whose signature counted, for people. */
export function signerOf({
  keyId,
  identity,
  form,
}: Pick<Verified, 'keyId' | 'identity' | 'form'>): string {
  if (keyId !== null) return `${keyId} (${form})`;
  return identity === null
    ? 'nobody that counts'
    : `${identity.identity} of ${identity.issuer} (${form})`;
}
