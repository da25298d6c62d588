// `billet image sign|verify`: signatures of boot images, and what a node's trust policy says of them.

import type { Command } from 'commander';
import { type SignedBoot, signBootImage } from '#shared/artifact/boot/sign.ts';
import { type VerifiedBoot, verifyBootArtifact } from '#shared/artifact/boot/verify.ts';
import type { CommandIo } from '../../command-io.ts';
import { listing } from '../../output.ts';
import { withExamples } from '../../remote.ts';
import { signerOf } from '../module/keys.ts';
import { signing, verifying } from '../module/sign-verify.ts';

export function signCommand(io: CommandIo): Command {
  const command = signing(io, {
    description:
      'Sign a boot image that was pushed, as modules are signed: nodes write no other to their disk. Signing again adds nothing.',
    sign: ({ target, reference }, key, identity) => signBootImage(target, reference, key, identity),
    lines: (signed, image) => signedLines(io, signed, image),
  });
  return withExamples(command, 'billet image sign boot:stable --key release.key');
}

export function verifyCommand(io: CommandIo): Command {
  const command = verifying(io, {
    description: 'Check a boot image as a node does before it writes it to a boot slot.',
    help: {
      policy: 'trust policy of the boot image that runs on the nodes (JSON)',
      key: 'or one public key, trusted for every image',
      name: 'what the image has to be called',
    },
    verify: verifyBootArtifact,
    facts: (verified) => verified,
    lines: (verified) => verifiedLines(io, verified),
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
