// The first act of the demo: modules are published and a node is described. Every step is a command
// that works by hand.

import { join } from 'node:path';
import { systemClock } from '#shared/clock.ts';
import type { Accelerator } from '#shared/qemu/arguments.ts';
import type { Artifacts } from '../../lab/artifacts.ts';
import { type LocalFleet, startFleet } from '../../lab/fleet.ts';
import { freePort } from '../../lab/power.ts';
import { stepper, type View } from './view.ts';

export interface Scene {
  readonly artifacts: Artifacts;
  readonly accelerator: Accelerator;
  /** Scratch, removed at the end. */
  readonly dir: string;
  readonly view: View;
  readonly signal: AbortSignal;
  readonly cpus: number;
  readonly memoryMib: number;
}

export const NODE = 'demo-1';
export const MAC = '52:54:00:b1:11:e7';

/** A coordinator with everything pushed, and the node that is to boot. */
export async function publish(scene: Scene): Promise<LocalFleet> {
  const { artifacts, view, signal } = scene;
  const step = stepper(view, systemClock);
  view.live('Starting the coordinator');
  const fleet = await startFleet({
    stateDir: join(scene.dir, 'coordinator'),
    httpsPort: await freePort(),
    httpPort: await freePort(),
    signal,
  });
  try {
    step('Coordinator, store, CA and registry', `127.0.0.1:${fleet.coordinator.port}`);
    for (const [name, layout] of Object.entries(artifacts.modules)) {
      view.live(`billet module push ${name}:stable`);
      await fleet.billet(
        'module',
        'verify',
        layout,
        '--policy',
        artifacts.keys.policy,
        '--name',
        name,
      );
      await fleet.billet('module', 'push', layout, `${name}:stable`);
      step(`Pushed module ${name}`, 'sealed and signed');
    }
    view.live('billet image push');
    await fleet.billet(
      'image',
      'push',
      artifacts.boot.dir,
      'boot:stable',
      '--command-line',
      'console=ttyS0 quiet',
    );
    step('Pushed boot image', `Linux ${artifacts.boot.kernelRelease}`);
    const modules = Object.keys(artifacts.modules).flatMap((name) => [
      '--module',
      `${name}:stable`,
    ]);
    await fleet.billet(
      'node',
      'create',
      NODE,
      ...modules,
      '--boot-image',
      'boot:stable',
      '--mac',
      MAC,
    );
    step('Created node', NODE);
    return fleet;
  } catch (error) {
    await fleet[Symbol.asyncDispose]();
    throw error;
  }
}
