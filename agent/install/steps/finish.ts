// Step finish: the firmware starts the disk first.

import { BilletError } from '#shared/errors.ts';
import { PARTITION } from '../seen.ts';
import { type Step, seeAgain } from '../step.ts';
import { LOADER_PATHS } from './loader.ts';

export const finish: Step = async (context) => {
  const { gpt, sectorBytes } = await seeAgain(context);
  const partition = gpt?.partitions.find(({ name }) => name === PARTITION.esp);
  if (partition === undefined)
    throw new BilletError('INSTALL_STEP_FAILED', 'the ESP is not there any more', {
      hint: 'order it anew with `billet instance install NAME`',
    });
  const path = `\\${LOADER_PATHS.own.replaceAll('/', '\\')}`;
  await context.ports.firmware.startFirst({ description: 'Billet', path, partition, sectorBytes });
};
