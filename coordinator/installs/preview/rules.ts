// What a plan means on disks that a machine told of: by the same rules as its installer's, as far as one
// can see from here. Pure.

import { selectDisk } from '#shared/install/select-disk.ts';
import type { Disk } from '#shared/schema/facts.ts';
import type { Condition } from '#shared/schema/heartbeat.ts';
import type { InstallPlan } from '#shared/schema/install-plan.ts';
import type { InstallPreview } from '#shared/schema/install-preview.ts';
import type { InstallCandidate } from '#shared/schema/install-report.ts';

export interface Seen {
  readonly disks: readonly Disk[];
  /** What the installer said of them; empty where only facts are known. */
  readonly reported: readonly InstallCandidate[];
}

type Preview = Pick<InstallPreview, 'chosen' | 'candidates' | 'problem'>;

export function preview(plan: InstallPlan, { disks, reported }: Seen): Preview {
  const wipes = new Map(reported.map(({ disk, wipeId }) => [disk.name, wipeId]));
  const selection = selectDisk(plan.disk, disks);
  const candidates = selection.candidates.map((each): InstallCandidate => {
    const wipeId = wipes.get(each.disk.name);
    return wipeId === undefined ? each : { ...each, wipeId };
  });
  const { chosen } = selection;
  if (chosen === null) return { chosen, candidates, problem: conditionOf(selection.problem) };
  const holds = wipes.get(chosen.name);
  const problem = holds === undefined || holds === plan.wipeId ? null : data(chosen, holds);
  return { chosen, candidates, problem };
}

const conditionOf = ({ code, message, hint }: { code: string; message: string; hint: string }) => ({
  ...{ code, text: message.slice(0, 1024), hint },
});

const data = ({ name }: Disk, wipeId: string): Condition => ({
  code: 'INSTALL_DISK_HOLDS_DATA',
  text: `${name} held data when its machine last looked; they go by the name ${wipeId}`,
  hint: `if they may be lost: --wipe ${wipeId}`,
});
