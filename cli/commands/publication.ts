// `billet publication create|publish|retire`, beside what every kind of the catalogue has.

import type { Command } from 'commander';
import { routes } from '#shared/routes/table.ts';
import { ResourceName } from '#shared/schema/ids.ts';
import { PublicationSpec, type PublicationStatus } from '#shared/schema/publication.ts';
import type { CommandIo } from '../command-io.ts';
import { emit } from '../output.ts';
import {
  parseArgument,
  type RemoteOptions,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';
import { resolver } from '../resolver.ts';
import { publicationLines } from '../views/publication.ts';
import { CATALOG } from '../views/resource.ts';
import { resourceCommand } from './resource.ts';

export function publicationCommand(io: CommandIo): Command {
  const command = resourceCommand(io, CATALOG.publication);
  addCreate(command, io);
  addStatus(command, io, {
    verb: 'publish',
    status: 'published',
    description: 'Let the nodes of its platform boot it; the registry has to have it all.',
  });
  addStatus(command, io, {
    verb: 'retire',
    status: 'retired',
    description: 'Give it to nobody any more; the one published before takes its place.',
  });
  return command;
}

interface CreateOptions extends RemoteOptions {
  readonly platform: string;
  readonly bootImage: string;
  readonly description?: string;
  readonly publish?: boolean;
}

function addCreate(parent: Command, io: CommandIo): void {
  const create = parent
    .command('create')
    .description('Make a publication of a boot image that was pushed. Its tag is resolved now.')
    .argument('<name>', 'what to call it')
    .requiredOption('--platform <name>', 'platform that it is of')
    .requiredOption('--boot-image <ref>', 'kernel and initramfs: REPOSITORY[:TAG|@DIGEST]')
    .option('--description <text>', 'what is new in it')
    .option('--publish', 'let the nodes of the platform boot it at once');
  withRemoteOptions(create).action((text: string, options: CreateOptions) => {
    const name = parseArgument(ResourceName, text, 'publication');
    return withCoordinator(io, options, async (coordinator) => {
      const spec = parseArgument(
        PublicationSpec,
        {
          platform: options.platform,
          boot: await resolver(io, coordinator).bootImage(options.bootImage),
          description: options.description,
          status: options.publish === true ? 'published' : 'draft',
        },
        'the publication',
      );
      const body = { name, spec, set: null };
      const made = await coordinator.call(routes.createPublication, { body });
      emit(io, options.json === true, made, () => publicationLines(made));
    });
  });
  withExamples(
    create,
    'billet publication create debian-amd64-1 --platform debian-amd64 \\',
    '    --boot-image boot:stable --publish',
  );
}

function addStatus(
  parent: Command,
  io: CommandIo,
  of: {
    readonly verb: 'publish' | 'retire';
    readonly status: PublicationStatus;
    readonly description: string;
  },
): void {
  const command = parent
    .command(of.verb)
    .description(of.description)
    .argument('<name>', 'name of the publication');
  withRemoteOptions(command).action((text: string, options: RemoteOptions) => {
    const params = { name: parseArgument(ResourceName, text, 'publication') };
    return withCoordinator(io, options, async (coordinator) => {
      const before = await coordinator.call(routes.getPublication, { params });
      const made = await coordinator.call(routes.putPublication, {
        params,
        body: { ...before.spec, status: of.status },
        ifMatch: `"${before.revision}"`,
      });
      emit(io, options.json === true, made, () => publicationLines(made));
    });
  });
  withExamples(command, `billet publication ${of.verb} debian-amd64-1`);
}
