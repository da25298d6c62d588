// Where an image argument points: a layout on disk, a registry, or the coordinator's own registry.
// Opens it; reads no image.

import type { Command } from 'commander';
import { Agent } from 'undici';
import { z } from 'zod';
import { type Layout, openLayout } from '#shared/artifact/oci/layout.ts';
import {
  parseLayoutReference,
  parseReference,
  type RegistryReference,
} from '#shared/artifact/oci/reference.ts';
import { openRegistry } from '#shared/artifact/oci/registry.ts';
import type { ArtifactTarget } from '#shared/artifact/oci/source.ts';
import { BilletError } from '#shared/errors.ts';
import { describeFaults } from '#shared/schema/faults.ts';
import { parseLocalReference } from '../../artifact/local-reference.ts';
import type { CommandIo } from '../../command-io.ts';
import { openRepository } from '../../registry.ts';
import { withCoordinator } from '../../remote.ts';
import { readJson, readText } from './files.ts';

export interface PlaceOptions {
  readonly json?: boolean;
  readonly ca?: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
  readonly credentials?: string;
  readonly plainHttp?: boolean;
  readonly context?: string;
}

export interface Place {
  readonly target: ArtifactTarget;
  /** A tag or a digest. */
  readonly reference: string;
  /** What a signature calls the image. */
  readonly identity: string;
}

/** Strict: a misspelt field must not turn into anonymous access. */
const CredentialsFile = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('basic'),
    username: z.string().min(1).max(256),
    password: z.string().min(1).max(4096),
  }),
  z.strictObject({ kind: z.literal('bearer'), token: z.string().regex(/^[\x21-\x7e]{1,8192}$/) }),
]);

export const IMAGE_HELP =
  'oci:DIR[:TAG], HOST/REPOSITORY[:TAG|@DIGEST], or REPOSITORY[:TAG] of the coordinator';

export const withPlaceOptions = (command: Command): Command =>
  command
    .option('--json', 'print JSON for programs')
    .option('--ca <file>', 'trust this CA (PEM) for the registry, and no other')
    .option('--client-cert <file>', 'certificate (PEM) to show to the registry')
    .option('--client-key <file>', 'its key (PEM)')
    .option(
      '--credentials <file>',
      'JSON: {"kind":"basic","username":…,"password":…} or bearer, token',
    )
    .option('--plain-http', 'speak HTTP to the registry (loopback and tests)')
    .option('--context <file>', 'which coordinator, for REPOSITORY without a host');

/** Opens the image's place for `work`, and closes its connections whatever happens. */
export async function withPlace<T>(
  io: CommandIo,
  text: string,
  options: PlaceOptions,
  work: (place: Place) => Promise<T>,
): Promise<T> {
  if (!/^(?:oci:|\/|\.)/.test(text) && !hasHost(text))
    return await withCoordinator(io, options, (coordinator) => {
      const { repository, reference } = parseLocalReference(text, 'the image');
      const target = openRepository(io, coordinator, repository);
      return work({ target, reference, identity: target.name });
    });
  const parsed = parseReference(text);
  if (parsed.kind === 'registry') return await withRegistry(io, parsed, options, work);
  const { layout, tag } = await openLayoutPlace(text);
  return await work({ target: layout, reference: tag, identity: tag });
}

/** A layout argument; without a tag the layout's only one. Throws ARGUMENT_INVALID, NOT_FOUND. */
export async function openLayoutPlace(
  text: string,
): Promise<{ readonly layout: Layout; readonly tag: string }> {
  const { dir, tag } = parseLayoutReference(text);
  const layout = await openLayout(dir);
  if (tag !== null) return { layout, tag };
  const tags = (await layout.tags()).filter((each) => !each.startsWith('sha256-'));
  if (tags.length === 1 && tags[0] !== undefined) return { layout, tag: tags[0] };
  const found = tags.length === 0 ? 'no tag' : `the tags ${tags.join(', ')}`;
  throw new BilletError('ARGUMENT_INVALID', `${dir} has ${found}: which image is meant?`, {
    hint: `name one as oci:${dir}:TAG`,
  });
}

/** As docker and skopeo tell them apart: a host has a dot, a port, or is localhost. */
const hasHost = (text: string): boolean => {
  const [first = '', ...rest] = text.split('/');
  return rest.length > 0 && (/[.:[]/.test(first) || first === 'localhost');
};

async function withRegistry<T>(
  io: CommandIo,
  { host, repository, tag, digest }: RegistryReference,
  options: PlaceOptions,
  work: (place: Place) => Promise<T>,
): Promise<T> {
  const dispatcher = new Agent({ connect: await tlsOptions(options) });
  const target = openRegistry({
    origin: `${options.plainHttp === true ? 'http' : 'https'}://${host}`,
    repository,
    dispatcher,
    credentials: await readCredentials(options.credentials),
    clock: io.clock,
    random: Math.random,
    signal: io.signal,
  });
  try {
    const reference = digest ?? tag ?? 'latest';
    return await work({ target, reference, identity: `${host}/${repository}` });
  } finally {
    await dispatcher.close();
  }
}

async function tlsOptions({ ca, clientCert, clientKey }: PlaceOptions) {
  return {
    ...(ca === undefined ? {} : { ca: await readText(ca, 'the CA') }),
    ...(clientCert === undefined ? {} : { cert: await readText(clientCert, 'the certificate') }),
    ...(clientKey === undefined ? {} : { key: await readText(clientKey, 'the key') }),
  };
}

async function readCredentials(file: string | undefined) {
  if (file === undefined) return undefined;
  const parsed = CredentialsFile.safeParse(await readJson(file, 'the credentials'));
  if (parsed.success) return parsed.data;
  throw new BilletError(
    'ARGUMENT_INVALID',
    `the credentials ${file} are not valid: ${describeFaults(parsed.error)}`,
    {
      hint: 'write {"kind":"basic","username":"…","password":"…"} or {"kind":"bearer","token":"…"}',
    },
  );
}
