// `billet bundle …`: flakes as artifacts of the coordinator's registry, which an installer fetches by digest.

import { Command } from 'commander';
import { type Bundle, BundleRelease, pushBundle, signBundle } from '#shared/artifact/nix/bundle.ts';
import type { CommandIo } from '../command-io.ts';
import { emit, listing } from '../output.ts';
import { parseArgument, withExamples } from '../remote.ts';
import { readFlake } from './bundle/read-flake.ts';
import { signingKeyOf } from './module/keys.ts';
import { IMAGE_HELP, type PlaceOptions, withPlace, withPlaceOptions } from './module/place.ts';

interface PushOptions extends PlaceOptions {
  readonly name: string;
  readonly release: string;
  readonly sequence: string;
}

interface SignOptions extends PlaceOptions {
  readonly key: string;
  readonly passwordFile?: string;
}

export function bundleCommand(io: CommandIo): Command {
  const command = new Command('bundle').description(
    'Flakes: push them into the registry and sign them; installers fetch them by digest.',
  );
  for (const child of [pushCommand(io), signCommand(io)]) command.addCommand(child);
  return command;
}

function pushCommand(io: CommandIo): Command {
  const command = new Command('push')
    .description('Push a flake. The same files and release give the same digest.')
    .argument('<flake>', 'a folder with flake.nix (without its .git), or a tar of one')
    .argument('<reference>', IMAGE_HELP)
    .requiredOption('--name <name>', 'what rules of a trust policy call it')
    .option('--release <text>', 'its version, for people', '0')
    .option('--sequence <n>', 'grows with each release', '0');
  withPlaceOptions(command).action(async (from: string, text: string, options: PushOptions) => {
    const { name, release: version } = options;
    const values = { name, version, sequence: Number(options.sequence) };
    const release = parseArgument(BundleRelease, values, '--name, --release, --sequence');
    const files = await readFlake(from);
    const bundle = await withPlace(io, text, options, ({ target, reference }) =>
      pushBundle(target, files, release, reference),
    );
    emit(io, options.json === true, bundle, () => [
      ...lines(io, bundle),
      '',
      `Next: billet bundle sign ${text} --key KEY`,
    ]);
  });
  return withExamples(command, 'billet bundle push . flakes/web:1 --name web-flake --sequence 1');
}

function signCommand(io: CommandIo): Command {
  const command = new Command('sign')
    .description('Sign a flake that was pushed, as modules are signed. Signing again adds nothing.')
    .argument('<reference>', IMAGE_HELP)
    .requiredOption('--key <file>', "private key in PEM or cosign's, P-256 or Ed25519")
    .option('--password-file <file>', 'password of the key (default: COSIGN_PASSWORD)');
  withPlaceOptions(command).action(async (text: string, options: SignOptions) => {
    const key = await signingKeyOf(io, options);
    const bundle = await withPlace(io, text, options, ({ target, reference, identity }) =>
      signBundle(target, reference, key, identity),
    );
    emit(io, options.json === true, bundle, () => lines(io, bundle));
  });
  return withExamples(command, 'billet bundle sign flakes/web:1 --key release.key');
}

const lines = (
  io: CommandIo,
  { name, version, sequence, digest, layer }: Bundle,
): readonly string[] =>
  listing(
    [
      ['flake bundle', `${name} ${version} (sequence ${sequence})`],
      ['manifest', digest],
      ['size', `${layer.size} bytes`],
    ],
    io.columns,
  );
