// `billet module keygen|sign|verify`: keys, signatures, and what a trust policy says of them.

import { Command, Option } from 'commander';
import { generateKeyPair, type KeyKind, readPublicKey } from '#shared/artifact/signature/keys.ts';
import { type Signed, signModule } from '#shared/artifact/signature/sign.ts';
import { type Verified, verifyManifest } from '#shared/artifact/signature/verify.ts';
import type { CommandIo } from '../../command-io.ts';
import { emit, listing } from '../../output.ts';
import { withExamples } from '../../remote.ts';
import { writeNew } from './files.ts';
import { signerOf } from './keys.ts';
import { signing, verifying } from './sign-verify.ts';

interface KeygenOptions {
  readonly type: KeyKind;
  readonly json?: boolean;
}

export function keygenCommand(io: CommandIo): Command {
  const command = new Command('keygen')
    .description('Make a key pair: PREFIX.key (mode 0600) and PREFIX.pub, in PEM.')
    .argument('<prefix>')
    .addOption(
      new Option('--type <type>', 'kind of key').choices(['p256', 'ed25519']).default('p256'),
    )
    .option('--json', 'print JSON for programs')
    .action(async (prefix: string, options: KeygenOptions) => {
      const { privatePem, publicPem } = generateKeyPair(options.type);
      const files = { private: `${prefix}.key`, public: `${prefix}.pub` };
      await writeNew(files.private, privatePem, 0o600);
      await writeNew(files.public, publicPem, 0o644);
      const { id } = readPublicKey(publicPem);
      emit(io, options.json === true, { ...files, keyId: id }, () => [
        ...listing(
          [
            ['private', `${files.private} (keep it off nodes and coordinator)`],
            ['public', files.public],
            ['key', id],
          ],
          io.columns,
        ),
        '',
        `Next: billet module sign IMAGE --key ${files.private}`,
      ]);
    });
  return withExamples(
    command,
    'billet module keygen release',
    'billet module keygen release --type ed25519',
  );
}

export function signCommand(io: CommandIo): Command {
  const command = signing(io, {
    description:
      "Sign a sealed module: cosign's .sig form and a sigstore bundle. Signing again adds nothing.",
    sign: ({ target, reference }, key, identity) => signModule(target, reference, key, identity),
    lines: (signed, image) => signedLines(io, signed, image),
  });
  return withExamples(
    command,
    'billet module sign oci:build/web:1.2.0 --key release.key',
    'billet module sign web:1.2.0 --key cosign.key --password-file password',
    'billet module sign registry.example/web:1.2.0 --key release.key \\',
    '    --credentials login.json',
  );
}

export function verifyCommand(io: CommandIo): Command {
  const command = verifying(io, {
    description: 'Check a module as a node does: digests, label, signature, version.',
    help: {
      policy: 'trust policy (JSON)',
      key: 'or one public key, trusted for every module',
      name: 'the module that it has to be',
    },
    verify: verifyManifest,
    facts: ({ digest, label, image, keyId, identity, form, findings }) => {
      return { digest, label, image, keyId, identity, form, findings };
    },
    lines: (verified) => verifiedLines(io, verified),
  });
  return withExamples(
    command,
    'billet module verify oci:build/web:1.2.0 --key release.pub',
    'billet module verify registry.example/web:1.2.0 --policy trust.json --name web',
  );
}

const signedLines = (io: CommandIo, { digest, label, keyId, forms }: Signed, image: string) => [
  ...listing(
    [
      ['module', `${label.name} ${label.version}`],
      ['manifest', digest],
      ['key', keyId],
      ['forms', forms.join(', ')],
    ],
    io.columns,
  ),
  '',
  `Next: billet module push ${image} REPOSITORY:TAG`,
];

const verifiedLines = (io: CommandIo, verified: Verified) => {
  const { label, digest, image, findings } = verified;
  return listing(
    [
      ['module', `${label.name} ${label.version} (sequence ${label.sequence}, ${label.kind})`],
      ['manifest', digest],
      ['composefs', image],
      ['signed by', signerOf(verified)],
      ...findings.map(({ code, message }) => [code, message] as const),
    ],
    io.columns,
  );
};
