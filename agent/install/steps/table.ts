// The steps of installing a boot image, by their names.

import type { StepTable } from '../step.ts';
import { finish } from './finish.ts';
import { format } from './format.ts';
import { loader } from './loader.ts';
import { partition } from './partition.ts';
import { slot } from './slot.ts';
import { state } from './state.ts';
import { wipe } from './wipe.ts';

export const STEPS: StepTable = { wipe, partition, format, loader, slot, state, finish };
