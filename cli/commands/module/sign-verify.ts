// `sign` and `verify` of whatever is signed, modules and boot images alike: their flags, and what happens
// in which order. What is signed, and what is printed of it, they are given.

import { Command } from 'commander';
import type { ArtifactSource, ManifestContent } from '#shared/artifact/oci/source.ts';
import type { SigningKey } from '#shared/artifact/signature/keys.ts';
import { ModuleName } from '#shared/schema/module.ts';
import type { TrustPolicy } from '#shared/schema/trust-policy.ts';
import type { CommandIo } from '../../command-io.ts';
import { emit } from '../../output.ts';
import { parseArgument } from '../../remote.ts';
import { policyOf, signingKeyOf } from './keys.ts';
import { IMAGE_HELP, type Place, type PlaceOptions, withPlace, withPlaceOptions } from './place.ts';

interface SignOptions extends PlaceOptions {
  readonly key: string;
  readonly passwordFile?: string;
  readonly identity?: string;
}

interface VerifyOptions extends PlaceOptions {
  readonly policy?: string;
  readonly key?: string;
  readonly name?: string;
}

interface Signing<T> {
  readonly description: string;
  sign(place: Place, key: SigningKey, identity: string): Promise<T>;
  /** For people; `image` as they named it. */
  lines(signed: T, image: string): readonly string[];
}

export function signing<T>(io: CommandIo, { description, sign, lines }: Signing<T>): Command {
  const command = new Command('sign')
    .description(description)
    .argument('<image>', IMAGE_HELP)
    .requiredOption('--key <file>', "private key in PEM or cosign's, P-256 or Ed25519")
    .option('--password-file <file>', 'password of the key (default: COSIGN_PASSWORD)')
    .option('--identity <name>', 'what the signature calls the image, for people');
  return withPlaceOptions(command).action(async (text: string, options: SignOptions) => {
    const key = await signingKeyOf(io, options);
    const signed = await withPlace(io, text, options, (place) =>
      sign(place, key, options.identity ?? place.identity),
    );
    emit(io, options.json === true, signed, () => lines(signed, text));
  });
}

interface Question {
  readonly source: ArtifactSource;
  readonly manifest: ManifestContent;
  readonly policy: TrustPolicy;
  readonly expectedName: ModuleName | undefined;
}

interface Verifying<T> {
  readonly description: string;
  /** Of the flags. */
  readonly help: { readonly policy: string; readonly key: string; readonly name: string };
  verify(question: Question): Promise<T>;
  /** For programs. */
  facts(verified: T): unknown;
  lines(verified: T): readonly string[];
}

export function verifying<T>(io: CommandIo, what: Verifying<T>): Command {
  const command = new Command('verify')
    .description(what.description)
    .argument('<image>', IMAGE_HELP)
    .option('--policy <file>', what.help.policy)
    .option('--key <file>', what.help.key)
    .option('--name <name>', what.help.name);
  return withPlaceOptions(command).action(async (text: string, options: VerifyOptions) => {
    const policy = await policyOf(options);
    const expectedName =
      options.name === undefined ? undefined : parseArgument(ModuleName, options.name, '--name');
    const verified = await withPlace(io, text, options, async ({ target, reference }) => {
      const manifest = await target.manifest(reference);
      return await what.verify({ source: target, manifest, policy, expectedName });
    });
    emit(io, options.json === true, what.facts(verified), () => what.lines(verified));
  });
}
