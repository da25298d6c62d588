// `billet image sign|verify`: signatures of boot images, and what a node's trust policy says of them.

import { Command } from 'commander';
import { type SignedBoot, signBootImage } from '#shared/artifact/boot/sign.ts';
import { type VerifiedBoot, verifyBootArtifact } from '#shared/artifact/boot/verify.ts';
import { ModuleName } from '#shared/schema/module.ts';
import type { CommandIo } from '../../command-io.ts';
import { emit, listing } from '../../output.ts';
import { parseArgument, withExamples } from '../../remote.ts';
import { policyOf, signerOf, signingKeyOf } from '../module/keys.ts';
import { IMAGE_HELP, type PlaceOptions, withPlace, withPlaceOptions } from '../module/place.ts';

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

export function signCommand(io: CommandIo): Command {
  const command = new Command('sign')
    .description(
      'Sign a boot image that was pushed, as modules are signed: nodes write no other to their disk. Signing again adds nothing.',
    )
    .argument('<image>', IMAGE_HELP)
    .requiredOption('--key <file>', "private key in PEM or cosign's, P-256 or Ed25519")
    .option('--password-file <file>', 'password of the key (default: COSIGN_PASSWORD)')
    .option('--identity <name>', 'what the signature calls the image, for people');
  withPlaceOptions(command).action(async (text: string, options: SignOptions) => {
    const key = await signingKeyOf(io, options);
    const signed = await withPlace(io, text, options, ({ target, reference, identity }) =>
      signBootImage(target, reference, key, options.identity ?? identity),
    );
    emit(io, options.json === true, signed, () => signedLines(io, signed, text));
  });
  return withExamples(command, 'billet image sign boot:stable --key release.key');
}

export function verifyCommand(io: CommandIo): Command {
  const command = new Command('verify')
    .description('Check a boot image as a node does before it writes it to a boot slot.')
    .argument('<image>', IMAGE_HELP)
    .option('--policy <file>', 'trust policy of the boot image that runs on the nodes (JSON)')
    .option('--key <file>', 'or one public key, trusted for every image')
    .option('--name <name>', 'what the image has to be called');
  withPlaceOptions(command).action(async (text: string, options: VerifyOptions) => {
    const policy = await policyOf(options);
    const expectedName =
      options.name === undefined ? undefined : parseArgument(ModuleName, options.name, '--name');
    const verified = await withPlace(io, text, options, async ({ target, reference }) =>
      verifyBootArtifact({
        source: target,
        manifest: await target.manifest(reference),
        policy,
        expectedName,
      }),
    );
    emit(io, options.json === true, verified, () => verifiedLines(io, verified));
  });
  return withExamples(
    command,
    'billet image verify boot:stable --policy trust-policy.json',
    'billet image verify boot:stable --key release.pub --name boot-metal',
  );
}

const signedLines = (io: CommandIo, { digest, release, keyId }: SignedBoot, image: string) => [
  ...listing(
    [
      ['boot image', `${release.name} ${release.version} (sequence ${release.sequence})`],
      ['manifest', digest],
      ['key', keyId],
    ],
    io.columns,
  ),
  '',
  `Next: billet image publish ${image} --platform NAME`,
];

const verifiedLines = (io: CommandIo, verified: VerifiedBoot) => {
  const { release, findings } = verified;
  return [
    ...listing(
      [
        ['boot image', `${release.name} ${release.version} (sequence ${release.sequence})`],
        ['manifest', verified.digest],
        ['kernel', verified.kernelRelease],
        ['UKI', verified.uki?.digest ?? 'none: for network boot only'],
        ['loader', verified.loader?.digest ?? 'none'],
        ['signed by', signerOf(verified)],
      ],
      io.columns,
    ),
    ...findings.map(({ code, message }) => `not enforced: ${code}: ${message}`),
  ];
};
