// What a provider is asked for: the machine as its instance records it, the files of its node's boot
// image, and a fresh identity. Writes only what the making of a token writes.

import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { BootImage } from '#shared/schema/desired.ts';
import type { Authorities } from '../ca/authorities.ts';
import { requireBootImage } from '../catalog/netboot-image.ts';
import { COORDINATOR } from '../events/records.ts';
import { orderBoot, type Subject } from '../nodes/instance-writes.ts';
import type { InstanceRecord, MachineRecord } from '../nodes/records.ts';
import { createBootToken } from '../nodes/token-writes.ts';
import type { MachineOrder } from '../providers/provider.ts';
import type { Records } from '../records.ts';
import { directoryName } from '../registry/repositories.ts';
import { subjectOf } from './warm/subject.ts';

export interface BootFiles {
  readonly kernel: string;
  readonly initramfs: string;
}

export interface OrderDeps {
  readonly records: Records;
  readonly authority: Pick<Authorities, 'fingerprint'>;
  /** Base URL in a machine's view. */
  readonly url: () => string;
  /** Of the network boot script, in a machine's view; null when network boot is off. */
  readonly bootScriptUrl: () => string | null;
  /** Paths of kernel and initramfs; null where the registry has not both. */
  readonly bootFiles: (image: BootImage) => Promise<BootFiles | null>;
}

/** From the repositories of the registry of this coordinator, which are OCI layouts. */
export const registryBootFiles =
  (registryRoot: string): OrderDeps['bootFiles'] =>
  async ({ repository, kernel, initramfs }) => {
    const layout = join(registryRoot, 'repositories', directoryName(repository));
    const path = (digest: Digest) => join(layout, 'blobs', ...digest.split(':'));
    const files = { kernel: path(kernel), initramfs: path(initramfs) };
    try {
      await Promise.all(Object.values(files).map((file) => access(file, constants.R_OK)));
      return files;
    } catch {
      return null;
    }
  };

/** The boot image of a node, with its files. NETBOOT_IMAGE_MISSING, with what publishes one. */
export async function bootable(
  { records, bootFiles }: Pick<OrderDeps, 'records' | 'bootFiles'>,
  node: Pick<Subject, 'name' | 'derived'>,
): Promise<BootFiles & { readonly image: BootImage }> {
  const image = await requireBootImage(records, node);
  const files = await bootFiles(image);
  if (files !== null) return { ...files, image };
  const { repository, manifest } = image;
  const what = `${repository}@${manifest}, which the registry has not`;
  throw new BilletError('NETBOOT_IMAGE_MISSING', `node ${node.name} boots ${what}`, {
    hint: `billet image push DIR ${repository}:TAG`,
    details: { node: node.name, repository, manifest },
  });
}

/** Without a panic= of its own, a kernel that fails early boots again instead of waiting for a hand. */
const withPanic = (words: string) =>
  / ?\bpanic=/.test(words) ? words : `${words} panic=10`.trimStart();

/**
 * For a machine that has to boot. A direct start gets a token of its own, and the one that an earlier
 * try got is revoked: so ask the provider first whether that try went through. NETBOOT_IMAGE_MISSING,
 * UNAVAILABLE without network boot.
 */
export async function orderOf(
  deps: OrderDeps,
  record: InstanceRecord,
  machine: MachineRecord,
): Promise<MachineOrder> {
  const { id: instance } = record;
  const { operation, shape, uuid, mac } = machine;
  const common = { operation, instance, node: record.node, shape, uuid, mac };
  if (shape.boot === 'network') {
    await orderBoot(deps.records, COORDINATOR, instance);
    return { ...common, start: { kind: 'network', url: bootScript(deps) } };
  }
  const subject = await subjectOf(deps.records, record);
  const { kernel, initramfs, image } = await bootable(deps, subject);
  await orderBoot(deps.records, COORDINATOR, instance);
  const token = await createBootToken(deps.records, instance);
  const identity = {
    coordinator: deps.url(),
    ca: deps.authority.fingerprint,
    instance,
    ...(token && { token: token.secret }),
  };
  const commandLine = withPanic(image.commandLine);
  return { ...common, start: { kind: 'direct', kernel, initramfs, commandLine, identity } };
}

function bootScript({ bootScriptUrl }: OrderDeps): string {
  const url = bootScriptUrl();
  if (url !== null) return url;
  throw new BilletError('UNAVAILABLE', 'network boot is off here', {
    hint: 'set bootListen in the coordinator’s configuration, or provision with boot: direct',
  });
}
