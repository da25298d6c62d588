// `billet module keygen|sign|verify`: keys, signatures, and what a trust policy says of them.

import { Command, Option } from 'commander';
import { generateKeyPair, type KeyKind, readPublicKey } from '#shared/artifact/signature/keys.ts';
import { type Signed, signModule } from '#shared/artifact/signature/sign.ts';
import { type Verified, verifyManifest } from '#shared/artifact/signature/verify.ts';
import { ModuleName } from '#shared/schema/module.ts';
import type { CommandIo } from '../../command-io.ts';
import { emit, listing } from '../../output.ts';
import { parseArgument, withExamples } from '../../remote.ts';
import { writeNew } from './files.ts';
import { policyOf, signerOf, signingKeyOf } from './keys.ts';
import { IMAGE_HELP, type PlaceOptions, withPlace, withPlaceOptions } from './place.ts';

interface KeygenOptions {
  readonly type: KeyKind;
  readonly json?: boolean;
}

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
  const command = new Command('sign')
    .description(
      "Sign a sealed module: cosign's .sig form and a sigstore bundle. Signing again adds nothing.",
    )
    .argument('<image>', IMAGE_HELP)
    .requiredOption('--key <file>', "private key in PEM or cosign's, P-256 or Ed25519")
    .option('--password-file <file>', 'password of the key (default: COSIGN_PASSWORD)')
    .option('--identity <name>', 'what the signature calls the image, for people');
  withPlaceOptions(command).action(async (text: string, options: SignOptions) => {
    const key = await signingKeyOf(io, options);
    const signed = await withPlace(io, text, options, ({ target, reference, identity }) =>
      signModule(target, reference, key, options.identity ?? identity),
    );
    emit(io, options.json === true, signed, () => signedLines(io, signed, text));
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
  const command = new Command('verify')
    .description('Check a module as a node does: digests, label, signature, version.')
    .argument('<image>', IMAGE_HELP)
    .option('--policy <file>', 'trust policy (JSON)')
    .option('--key <file>', 'or one public key, trusted for every module')
    .option('--name <name>', 'the module that it has to be');
  withPlaceOptions(command).action(async (text: string, options: VerifyOptions) => {
    const policy = await policyOf(options);
    const expectedName =
      options.name === undefined ? undefined : parseArgument(ModuleName, options.name, '--name');
    const verified = await withPlace(io, text, options, async ({ target, reference }) =>
      verifyManifest({
        source: target,
        manifest: await target.manifest(reference),
        policy,
        expectedName,
      }),
    );
    const { digest, label, image, keyId, identity, form, findings } = verified;
    const facts = { digest, label, image, keyId, identity, form, findings };
    emit(io, options.json === true, facts, () => verifiedLines(io, verified));
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
