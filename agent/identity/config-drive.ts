// Identity from a drive that the hypervisor attached: NoCloud (label cidata) and OpenStack's config
// drive (label config-2). Reads what the driver shows, and looks for no device itself.

import type { CloudMachine } from '#shared/schema/facts.ts';
import type { OpenDrive } from '../drivers/labelled-drive.ts';
import { openstackIdentity, openstackMachine, type ReadOpenStack } from './openstack-data.ts';
import type { IdentityStrategy } from './strategy.ts';
import { identityInUserData } from './user-data.ts';

/** cloud-init, "NoCloud": both files have to be there. */
export function noCloudStrategy(openDrive: OpenDrive): IdentityStrategy {
  return {
    name: 'nocloud',
    place: 'user-data, as JSON, beside meta-data on a drive labelled cidata',
    read: (signal) =>
      openDrive('cidata', signal, async (read) => {
        if ((await read('meta-data')) === null) return null;
        return identityInUserData(await read('user-data'), 'NoCloud user-data');
      }),
    machine: (signal) =>
      openDrive('cidata', signal, async (read): Promise<CloudMachine | null> => {
        const instance = instanceIdOf((await read('meta-data')) ?? '');
        return instance === null ? null : { provider: 'nocloud', instance };
      }),
  };
}

/** Nova admin guide, "Config drives". */
export function configDriveStrategy(openDrive: OpenDrive): IdentityStrategy {
  const inLatest =
    (read: ReadOpenStack): ReadOpenStack =>
    (name) =>
      read(`openstack/latest/${name}`);
  return {
    name: 'config-drive',
    place: 'openstack/latest/user_data, as JSON, on a drive labelled config-2',
    read: (signal) =>
      openDrive('config-2', signal, (read) => openstackIdentity(inLatest(read), 'config drive')),
    machine: (signal) => openDrive('config-2', signal, (read) => openstackMachine(inLatest(read))),
  };
}

/** Of meta-data only this line is read: it is YAML, and a plain scalar there in all that write it. */
function instanceIdOf(metaData: string): string | null {
  const value = /^instance-id:[ \t]*(?:"([^"\n]+)"|'([^'\n]+)'|([^\s#"'][^\n#]*))/m.exec(metaData);
  const text = (value?.[1] ?? value?.[2] ?? value?.[3] ?? '').trim();
  return text === '' ? null : text.slice(0, 256);
}
