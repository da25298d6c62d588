// `billet module inspect|push`: what an image says of itself, and its way into a registry.

import { Command } from 'commander';
import { type Inspected, inspectModule } from '#shared/artifact/module/inspect.ts';
import { type Copied, copyArtifact } from '#shared/artifact/oci/copy.ts';
import type { CommandIo } from '../../command-io.ts';
import { bytes, emit, listing } from '../../output.ts';
import { type Progress, startProgress } from '../../progress.ts';
import { withExamples } from '../../remote.ts';
import {
  IMAGE_HELP,
  openLayoutPlace,
  type PlaceOptions,
  withPlace,
  withPlaceOptions,
} from './place.ts';

export function inspectCommand(io: CommandIo): Command {
  const command = new Command('inspect')
    .description('Show what a module says of itself. Verifies no signature: see verify.')
    .argument('<image>', IMAGE_HELP);
  withPlaceOptions(command).action(async (text: string, options: PlaceOptions) => {
    const inspected = await withPlace(io, text, options, ({ target, reference }) =>
      inspectModule(target, reference),
    );
    emit(io, options.json === true, inspected, () => inspectedLines(io, inspected));
  });
  return withExamples(
    command,
    'billet module inspect oci:build/web:1.2.0',
    'billet module inspect web:1.2.0 --json',
  );
}

export function pushCommand(io: CommandIo): Command {
  const command = new Command('push')
    .description('Copy an image with its signatures from a layout to a registry.')
    .argument('<layout>', 'oci:DIR[:TAG]')
    .argument('<image>', 'HOST/REPOSITORY[:TAG], or REPOSITORY[:TAG] of the coordinator');
  withPlaceOptions(command).action(async (from: string, to: string, options: PlaceOptions) => {
    const { layout, tag } = await openLayoutPlace(from);
    let progress: Progress | null = null;
    const onProgress = (done: number, total: number) => {
      progress ??= startProgress(io, `pushing ${tag}`, total);
      progress.update(done);
    };
    const copied = await withPlace(io, to, options, ({ target, reference }) =>
      copyArtifact({
        source: layout,
        target,
        reference: tag,
        tag: reference,
        signal: io.signal,
        onProgress,
      }),
    );
    (progress as Progress | null)?.end(`pushed ${tag}`);
    emit(io, options.json === true, copied, () => copiedLines(io, copied, to));
  });
  return withExamples(
    command,
    'billet module push oci:build/web:1.2.0 web:1.2.0',
    'billet module push oci:build/web:1.2.0 registry.example/web:1.2.0 \\',
    '    --credentials login.json',
  );
}

function inspectedLines(io: CommandIo, module: Inspected): readonly string[] {
  const { label } = module;
  return listing(
    [
      ['module', `${label.name} ${label.version} (sequence ${label.sequence})`],
      ['kind', `${label.kind}, priority ${label.priority}`],
      ['description', label.description || '-'],
      ['requires', label.requires.join(', ') || '-'],
      ['services', label.services.map((service) => service.name).join(', ') || '-'],
      ['manifest', module.digest],
      ['composefs', module.image],
      ['architecture', module.architecture ?? '-'],
      ['layers', module.layers.map((layer) => `${layer.digest} ${bytes(layer.size)}`).join('\n')],
      ['.sig', module.signature ?? '-'],
      [
        'referrers',
        module.referrers.map((each) => `${each.digest} ${each.artifactType}`).join('\n') || '-',
      ],
    ],
    io.columns,
  );
}

const copiedLines = (io: CommandIo, { digest, attached }: Copied, to: string) =>
  listing(
    [
      ['image', to],
      ['manifest', digest],
      ['signatures', `${attached.length} manifests came along`],
    ],
    io.columns,
  );
