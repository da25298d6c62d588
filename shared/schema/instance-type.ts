// A provider's instance type: the size and shape of a machine under a name.

import { z } from 'zod';
import { ResourceName } from './ids.ts';
import { MachineShape, ProviderKind } from './provider.ts';
import { Description, resourceOf } from './resource.ts';

export const InstanceTypeSpec = z.strictObject({
  description: Description,
  provider: ProviderKind,
  architecture: ResourceName,
  shape: MachineShape,
});
export type InstanceTypeSpec = z.infer<typeof InstanceTypeSpec>;

export const InstanceType = resourceOf(InstanceTypeSpec);
export type InstanceType = z.infer<typeof InstanceType>;
