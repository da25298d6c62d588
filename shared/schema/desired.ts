// What an instance should be, at a generation. Stored and sent as opaque bytes in a DSSE envelope
// (github.com/secure-systems-lab/dsse), so that an operator can sign it later.

import { z } from 'zod';
import { Digest } from '../digest.ts';
import { InstanceId, NodeName } from './ids.ts';
import { InstallOrder } from './install-plan.ts';
import { ModuleRef } from './module.ts';
import { NixClosure } from './nix-closure.ts';
import { Settings } from './settings.ts';

export const DESIRED_TYPE = 'application/vnd.billet.desired.v1+json';

/** Kernel and initramfs, and both as one EFI program, as an OCI artifact of the coordinator's registry. */
export const BootImage = z.object({
  repository: z.string().min(1).max(512),
  manifest: Digest,
  kernel: Digest,
  initramfs: Digest,
  /** Unified kernel image (uapi-group.org, UKI): what a boot slot of a disk holds. Null: none was built. */
  uki: Digest.nullable().default(null),
  /** systemd-boot, for the ESP. */
  loader: Digest.nullable().default(null),
  /** uname -r of the kernel; the system image has to ship its /lib/modules. */
  kernelRelease: z.string().regex(/^[A-Za-z0-9._+-]{1,128}$/),
  /** Words added to the kernel's command line, without billet.*. */
  commandLine: z
    .string()
    .regex(/^[\x20-\x7e]*$/)
    .max(1024)
    .default(''),
});
export type BootImage = z.infer<typeof BootImage>;

/** The payload of the envelope. */
export const Desired = z.object({
  format: z.literal(1),
  /** History id of the store that numbered the generation. */
  history: z.string().min(1).max(64),
  instance: InstanceId,
  node: NodeName,
  /** Grows with every change; never given twice in one history. */
  generation: z.int().positive(),
  bootImage: BootImage.nullable(),
  /** Null: it boots from no disk of its own. */
  install: InstallOrder.nullable().default(null),
  modules: z.array(ModuleRef).max(64),
  /** A NixOS system in the place of `system` modules. */
  closure: NixClosure.nullable().default(null),
  /** Digest of the merged system image as the coordinator computed it. For comparison only. */
  systemImage: Digest.nullable(),
  settings: Settings,
});
export type Desired = z.infer<typeof Desired>;

export const Envelope = z.object({
  payloadType: z.literal(DESIRED_TYPE),
  /** Base64 of the payload's bytes. */
  payload: z.base64().max(512 * 1024),
  signatures: z.array(z.object({ keyid: z.string().max(256), sig: z.base64() })).max(16),
});
export type Envelope = z.infer<typeof Envelope>;
