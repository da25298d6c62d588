// `billet module init|schema|pack|seal`: from files to a sealed image in a layout.

import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { packImage } from '#shared/artifact/module/pack.ts';
import { type Sealed, sealImage } from '#shared/artifact/module/seal.ts';
import {
  moduleSchema,
  moduleTemplate,
  parseModuleSource,
} from '#shared/artifact/module/template.ts';
import type { Layout } from '#shared/artifact/oci/layout.ts';
import { openLayout } from '#shared/artifact/oci/layout.ts';
import { parseLayoutReference } from '#shared/artifact/oci/reference.ts';
import { parseImageManifest } from '#shared/artifact/oci/schema.ts';
import type { ModuleLabel } from '#shared/schema/module.ts';
import type { CommandIo } from '../../command-io.ts';
import { emit, listing } from '../../output.ts';
import { startProgress, startStatus } from '../../progress.ts';
import { withExamples } from '../../remote.ts';
import { readText, writeNew } from './files.ts';
import { openLayoutPlace } from './place.ts';

interface InitOptions {
  readonly name: string;
  readonly kind: 'system' | 'service';
  readonly moduleVersion: string;
  readonly json?: boolean;
}

interface SealOptions {
  readonly module: string;
  readonly json?: boolean;
}

interface PackOptions extends SealOptions {
  readonly layer: string;
  readonly output: string;
  readonly arch: string;
  readonly level: number;
}

export function initCommand(io: CommandIo): Command {
  const command = new Command('init')
    .description('Write a module.json to start from.')
    .argument('<dir>', 'folder of the module; made if missing')
    .requiredOption('--name <name>', 'lower-case letters, digits and dashes')
    .addOption(
      new Option('--kind <kind>', 'merged into the root, or a service with its own root')
        .choices(['system', 'service'])
        .default('service'),
    )
    .option('--module-version <version>', 'semantic version', '0.1.0')
    .option('--json', 'print JSON for programs')
    .action(async (dir: string, options: InitOptions) => {
      const text = moduleTemplate({ ...options, version: options.moduleVersion });
      const file = join(dir, 'module.json');
      await mkdir(dir, { recursive: true });
      await writeNew(file, text, 0o644);
      emit(io, options.json === true, { file, module: JSON.parse(text) }, () => [
        `wrote ${file}`,
        '',
        `Next: make a tar of its files, then billet module pack --layer FILES.tar --module ${file} -o oci:${dir}/image:${options.moduleVersion}`,
      ]);
    });
  return withExamples(
    command,
    'billet module init web --name web',
    'billet module init base --name base --kind system',
  );
}

export function schemaCommand(io: CommandIo): Command {
  const command = new Command('schema')
    .description('Print the JSON Schema of module.json.')
    .action(() => void io.stdout.write(`${JSON.stringify(moduleSchema(), null, 2)}\n`));
  return withExamples(command, 'billet module schema > module.schema.json');
}

export function sealCommand(io: CommandIo): Command {
  const command = new Command('seal')
    .description(
      'Add the labels that make an image of a layout a module. Sealing again changes nothing.',
    )
    .argument('<layout>', 'oci:DIR[:TAG]')
    .requiredOption('--module <file>', 'module.json')
    .option('--json', 'print JSON for programs')
    .action(async (text: string, options: SealOptions) => {
      const label = await readSource(options.module);
      const { layout, tag } = await openLayoutPlace(text);
      const sealed = await seal(io, layout, tag, label);
      emit(io, options.json === true, sealed, () =>
        sealedLines(io, sealed, `oci:${layout.dir}:${tag}`),
      );
    });
  return withExamples(command, 'billet module seal oci:build/web:1.2.0 --module web/module.json');
}

export function packCommand(io: CommandIo): Command {
  const command = new Command('pack')
    .description('Make a sealed image of one zstd layer from a tar of files.')
    .requiredOption('--layer <file>', 'tar, tar.gz or tar.zst; - for standard input')
    .requiredOption('--module <file>', 'module.json')
    .requiredOption(
      '-o, --output <layout>',
      'oci:DIR[:TAG]; made if missing, the tag is else the version',
    )
    .option('--arch <architecture>', 'as Go names it', goArchitecture())
    .option('--level <level>', 'zstd level, 1 to 19', parseLevel, 9)
    .option('--json', 'print JSON for programs')
    .action(async (options: PackOptions) => {
      const label = await readSource(options.module);
      const { dir, tag: asked } = parseLayoutReference(options.output);
      const tag = asked ?? label.version.replaceAll('+', '_');
      const layout = await openLayout(dir, { create: true });
      const status = startStatus(io);
      let reportedMiB = 0;
      const onProgress = (tarBytes: number) => {
        const miB = tarBytes >> 20;
        if (miB - reportedMiB < 64) return;
        reportedMiB = miB;
        status.say(`packed ${miB} MiB`);
      };
      const tar =
        options.layer === '-'
          ? process.stdin
          : createReadStream(options.layer, { highWaterMark: 1 << 20 });
      await packImage({
        layout,
        tag,
        tar,
        architecture: options.arch,
        level: options.level,
        onProgress,
      });
      status.end();
      const sealed = await seal(io, layout, tag, label);
      emit(io, options.json === true, sealed, () =>
        sealedLines(io, sealed, `oci:${layout.dir}:${tag}`),
      );
    });
  return withExamples(
    command,
    'billet module pack --layer root.tar --module module.json -o oci:base:1.0.0',
    'tar -C root --sort=name -c . | \\',
    '    billet module pack --layer - --module module.json -o oci:base',
  );
}

const readSource = async (file: string): Promise<ModuleLabel> =>
  parseModuleSource(await readText(file, 'the module'), 'MODULE_INVALID', file);

async function seal(
  io: CommandIo,
  layout: Layout,
  tag: string,
  label: ModuleLabel,
): Promise<Sealed> {
  const { bytes, mediaType } = await layout.manifest(tag);
  const { layers } = parseImageManifest(bytes, mediaType);
  const total = layers.reduce((sum, layer) => sum + layer.size, 0);
  const progress = startProgress(io, `sealing ${label.name}`, total);
  const sealed = await sealImage(layout, tag, label, {
    signal: io.signal,
    onProgress: (done) => progress.update(done),
  });
  progress.end(`sealed ${label.name}`);
  return sealed;
}

const sealedLines = (io: CommandIo, sealed: Sealed, image: string) => [
  ...listing(
    [
      [
        'module',
        `${sealed.label.name} ${sealed.label.version} (sequence ${sealed.label.sequence})`,
      ],
      ['manifest', sealed.digest],
      ['composefs', sealed.image],
      ['changed', sealed.changed ? 'yes' : 'no: it was sealed like this'],
    ],
    io.columns,
  ),
  '',
  `Next: billet module sign ${image} --key KEY.pem`,
];

function parseLevel(text: string): number {
  const level = Number(text);
  if (Number.isInteger(level) && level >= 1 && level <= 19) return level;
  throw new InvalidArgumentError('a level is 1 to 19.');
}

const goArchitecture = () => (process.arch === 'x64' ? 'amd64' : process.arch);
