// By whom and in which size a node's machine is made: as the call says, or else its instance type and
// region. Reads the catalogue only.

import { BilletError } from '#shared/errors.ts';
import type { ResourceName } from '#shared/schema/ids.ts';
import { MachineShape, type ProviderKind } from '#shared/schema/provider.ts';
import type { Derived } from '#shared/schema/records.ts';
import type { Records } from '../records.ts';

export interface Placement {
  readonly provider: ProviderKind;
  readonly shape: MachineShape;
  /** Null where it is said for another provider than the one that makes the machine. */
  readonly region: ResourceName | null;
}

export interface PlacementOrder {
  readonly provider?: ProviderKind | undefined;
  readonly instanceType?: ResourceName | undefined;
  readonly shape?: MachineShape | undefined;
}

interface Placed {
  /** For people. */
  readonly name: string;
  readonly derived: Derived;
}

/** NOT_FOUND for a type that is not there; BODY_INVALID when nothing says who makes the machine. */
export const placementOf =
  ({ catalog }: Records, order: PlacementOrder) =>
  async ({ name, derived }: Placed): Promise<Placement> => {
    const typeName = order.instanceType ?? derived.instanceType;
    const type = typeName === null ? null : await catalog['instance-type'].get(typeName);
    if (typeName !== null && type === null)
      throw new BilletError('NOT_FOUND', `no instance type ${typeName}`, {
        hint: 'billet instance-type list',
      });
    const region = derived.region === null ? null : await catalog.region.get(derived.region);
    const spec = type?.record.spec;
    const provider = order.provider ?? spec?.provider ?? region?.record.spec.provider;
    if (provider === undefined)
      throw new BilletError('BODY_INVALID', `nothing says who makes the machine of ${name}`, {
        hint: 'add --provider, or give the node an instance type or a region',
        details: { node: name },
      });
    const isThere = region?.record.spec.provider === provider;
    return {
      ...{ provider, region: isThere ? region.record.name : null },
      shape: order.shape ?? spec?.shape ?? MachineShape.parse({}),
    };
  };
