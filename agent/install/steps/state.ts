// Step state: key, certificate and desired state as they are by now, so that the first boot from the disk
// needs no token, no medium and no coordinator.

import { installedRecord } from '../../slots/slot-record.ts';
import { copyState } from '../copy-state.ts';
import { layoutNow, type Step } from '../step.ts';

export const state: Step = async (context, signal) => {
  const { persist } = await layoutNow(context);
  const { vault } = context.ports;
  const device =
    context.profile.encrypts && vault !== null ? await vault.unlock(persist, signal) : persist;
  const { bootImage } = context.request.desired;
  await copyState(context, device, bootImage === null ? null : installedRecord(bootImage));
};
