// `billet image publish REPOSITORY:TAG --platform NAME`: records a boot image as a publication. Doing so
// again changes nothing.

import { isDeepStrictEqual } from 'node:util';
import { Command, Option } from 'commander';
import { parseBootManifest } from '#shared/artifact/boot/manifest.ts';
import { BilletError } from '#shared/errors.ts';
import { routes } from '#shared/routes/table.ts';
import { ResourceName } from '#shared/schema/ids.ts';
import { type Publication, PublicationSpec } from '#shared/schema/publication.ts';
import { readBootImage } from '../../artifact/boot-artifact.ts';
import { parseLocalReference } from '../../artifact/local-reference.ts';
import type { Coordinator } from '../../client.ts';
import type { CommandIo } from '../../command-io.ts';
import { emit } from '../../output.ts';
import { openRepository } from '../../registry.ts';
import {
  parseArgument,
  type RemoteOptions,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../../remote.ts';
import { publicationLines } from '../../views/publication.ts';

interface PublishOptions extends RemoteOptions {
  readonly platform: string;
  readonly status: 'draft' | 'published';
  readonly name?: string;
  readonly description?: string;
}

export function publishCommand(io: CommandIo): Command {
  const command = new Command('publish')
    .description(
      'Record a boot image that was pushed as a publication of its platform, under its name and sequence. Again, it changes nothing.',
    )
    .argument('<reference>', 'REPOSITORY[:TAG|@DIGEST] of the coordinator')
    .requiredOption('--platform <name>', 'platform that it is of')
    .addOption(
      new Option('--status <status>', 'draft: given to nobody yet')
        .choices(['draft', 'published'])
        .default('published'),
    )
    .option('--name <name>', 'of the publication (default: NAME-SEQUENCE of the image)')
    .option('--description <text>', 'what is new in it');
  withRemoteOptions(command).action((text: string, options: PublishOptions) => {
    const { repository, reference } = parseLocalReference(text, 'the reference');
    return withCoordinator(io, options, async (coordinator) => {
      const source = openRepository(io, coordinator, repository);
      const boot = await readBootImage(source, repository, reference);
      const name = options.name ?? (await nameOf(source, boot.manifest));
      const spec = parseArgument(
        PublicationSpec,
        {
          platform: options.platform,
          boot,
          status: options.status,
          ...(options.description === undefined ? {} : { description: options.description }),
        },
        'the publication',
      );
      const made = await publish(
        coordinator,
        parseArgument(ResourceName, name, 'the publication'),
        spec,
      );
      emit(io, options.json === true, made, () => publicationLines(made));
    });
  });
  return withExamples(
    command,
    'billet image publish boot:stable --platform debian-amd64',
    'billet image publish boot:next --platform debian-amd64 --status draft',
  );
}

async function nameOf(source: ReturnType<typeof openRepository>, digest: string): Promise<string> {
  const { release } = parseBootManifest(await source.manifest(digest), digest);
  if (release !== null) return `${release.name}-${release.sequence}`;
  throw new BilletError('BOOT_IMAGE_INVALID', 'the boot image does not say what it is called', {
    hint: 'give the publication a --name, or push what `billet image build` made',
  });
}

/** Throws CONFLICT when the name has other content, or was retired: neither is undone in passing. */
async function publish(
  coordinator: Coordinator,
  name: ResourceName,
  spec: PublicationSpec,
): Promise<Publication> {
  const params = { name };
  const before = await coordinator
    .call(routes.getPublication, { params })
    .catch((error: unknown) => {
      if (error instanceof BilletError && error.code === 'NOT_FOUND') return null;
      throw error;
    });
  if (before === null)
    return await coordinator.call(routes.createPublication, { body: { name, spec, set: null } });
  const content = ({ platform, boot, root }: PublicationSpec) => ({ platform, boot, root });
  if (!isDeepStrictEqual(content(before.spec), content(spec)))
    throw new BilletError('CONFLICT', `the publication ${name} is of another boot image`, {
      hint: 'build with a higher --sequence, or give the publication another --name',
      details: { has: before.spec.boot.manifest, wanted: spec.boot.manifest },
    });
  const { status } = before.spec;
  // What is out stays out: a draft of the same is satisfied by it.
  if (status === spec.status || (status === 'published' && spec.status === 'draft')) return before;
  if (status === 'retired')
    throw new BilletError('CONFLICT', `the publication ${name} was retired`, {
      hint: `billet publication publish ${name}, if that was a mistake`,
    });
  return await coordinator.call(routes.putPublication, {
    params,
    body: { ...before.spec, status: spec.status },
    ifMatch: `"${before.revision}"`,
  });
}
