// How providers are configured: part of the coordinator's one strict file. Opens nothing.

import { z } from 'zod';
import { ProviderMode } from '#shared/schema/provider.ts';

const common = {
  mode: ProviderMode.default('disabled'),
  /** Most machines at a time; one more is PROVIDER_QUOTA. */
  machinesMax: z.int().min(1).max(10_000).default(16),
};

const LocalQemuConfig = z.strictObject({
  ...common,
  /** tcg where there is no KVM, or where it hangs. */
  accelerator: z.enum(['kvm', 'tcg']).default('kvm'),
});

const LibvirtConfig = z.strictObject({
  ...common,
  uri: z.string().min(1).max(512).default('qemu:///system'),
  type: z.enum(['kvm', 'qemu']).default('kvm'),
  network: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('user') }),
      z.strictObject({
        kind: z.enum(['network', 'bridge']),
        name: z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/),
      }),
    ])
    .default({ kind: 'user' }),
});

export const ProvidersConfig = z.strictObject({
  'local-qemu': LocalQemuConfig.prefault({}),
  libvirt: LibvirtConfig.prefault({}),
});
export type ProvidersConfig = z.infer<typeof ProvidersConfig>;
