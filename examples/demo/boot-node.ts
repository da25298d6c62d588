// The second act of the demo: a machine is switched on, its markers are shown as they come, and its
// page is read from inside the node.

import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';
import { systemClock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { Instance } from '#shared/schema/records.ts';
import { Task } from '#shared/schema/task.ts';
import { wrap } from '../../cli/output.ts';
import type { Fleet } from '../../lab/fleet.ts';
import { freePort, type PoweredMachine, powerOn } from '../../lab/power.ts';
import { MAC, NODE, type Scene } from './scene.ts';
import { advance, emptyTimeline } from './timeline.ts';
import { chart, type Step, stepper, type View } from './view.ts';

export interface BootedNode extends AsyncDisposable {
  readonly powered: PoweredMachine;
  readonly instance: Instance;
  readonly pageUrl: string;
}

const READY_LIMIT_MS = 300_000;
const RUNNING_LIMIT_MS = 30_000;

/** Boots the node, waits until the coordinator sees it running, and reads its page. */
export async function bootNode(scene: Scene, fleet: Fleet): Promise<BootedNode> {
  const { view, signal } = scene;
  const instance = Instance.parse(await fleet.billet('instance', 'create', NODE));
  const pagePort = await freePort();
  view.live('Firmware, iPXE, kernel, initramfs');
  const powered = await powerOn(
    {
      name: NODE,
      accelerator: scene.accelerator,
      memoryMib: scene.memoryMib,
      cpus: scene.cpus,
      uuid: '6f1d8c5e-6f0b-4b0e-9d5b-b1113fb1113f',
      mac: MAC,
      bootUrl: fleet.bootUrl,
      forward: [{ hostPort: pagePort, guestPort: 8080 }],
    },
    join(scene.dir, 'console.log'),
    signal,
  );
  try {
    const timeline = await follow(view, powered);
    const step = stepper(view, systemClock);
    view.live('Waiting until the coordinator has seen it');
    const running = await untilRunning(fleet, instance, signal);
    step('Coordinator says', running.state);
    await askFromInside(fleet, running, step, view);
    const pageUrl = `http://127.0.0.1:${pagePort}/`;
    step('And from this host', await titleOf(pageUrl, signal));

    view.heading(`Where the ${(timeline.at(-1)?.atSeconds ?? 0).toFixed(1)} seconds went`);
    for (const line of chart(timeline, 80)) view.text(line);
    for (const { code, text } of running.heartbeat?.conditions ?? [])
      view.text(`\n  ${wrap(`note: ${code}: ${text}`, 76).join('\n  ')}`);
    return {
      powered,
      instance: running,
      pageUrl,
      [Symbol.asyncDispose]: () => powered[Symbol.asyncDispose](),
    };
  } catch (error) {
    await powered[Symbol.asyncDispose]();
    throw error;
  }
}

/** Shows markers as they come, until the node is ready. */
async function follow(view: View, powered: PoweredMachine) {
  let timeline = emptyTimeline;
  powered.onMarker(({ marker, atSeconds }) => {
    const before = timeline;
    timeline = advance(timeline, marker, atSeconds);
    const stage = timeline.stages.at(-1);
    if (stage && timeline.stages.length > before.stages.length) {
      view.done(stage.title, stage.detail, stage.seconds);
      if (!timeline.ready) view.live('Waiting for what comes next');
    }
    if (timeline.progress) view.live('Pulling, checking and sealing', timeline.progress);
    if (timeline.failure && timeline.failure !== before.failure)
      view.problem(
        `${timeline.failure.stage}: ${timeline.failure.message} (${timeline.failure.code})`,
        timeline.failure.hint,
      );
  });
  await powered.waitFor('ready', { timeoutMs: READY_LIMIT_MS });
  return timeline.stages;
}

/** A task that the node leases: its own probe asks the page, over the node's loopback. */
async function askFromInside(
  fleet: Fleet,
  { id }: Instance,
  step: Step,
  view: View,
): Promise<void> {
  view.live('billet task create run-probe');
  const task = Task.parse(
    await fleet.billet(
      'task',
      'create',
      'run-probe',
      id,
      '--url',
      'http://127.0.0.1:8080/',
      '--contains',
      'verified',
      '--wait',
    ),
  );
  if (task.state !== 'succeeded')
    throw new BilletError(
      'PROBE_FAILED',
      `the page does not answer inside the node: ${task.result?.message ?? task.state}`,
      {
        hint: 'look at the console log of the machine',
      },
    );
  step('Web page answers inside the node', `task ${task.id}`);
}

async function untilRunning(
  fleet: Fleet,
  { id }: Instance,
  signal: AbortSignal,
): Promise<Instance> {
  const limit = systemClock.monotonic() + RUNNING_LIMIT_MS;
  for (;;) {
    const instance = await fleet.instance(id);
    if (instance.state === 'running') return instance;
    if (systemClock.monotonic() > limit)
      throw new BilletError('TIMEOUT', `instance ${id} is still ${instance.state}`, {
        hint: 'billet events shows what happened',
      });
    await delay(200, undefined, { signal });
  }
}

async function titleOf(url: string, signal: AbortSignal): Promise<string> {
  const { statusCode, body } = await request(url, { signal });
  const title = /<h1>([^<]*)<\/h1>/.exec(await body.text())?.[1];
  if (statusCode === 200 && title) return title;
  throw new BilletError('PROBE_FAILED', `${url} answered ${statusCode} without the page`, {
    hint: 'look at the console log of the machine',
  });
}

export function tryNext(view: View, fleet: Fleet, { instance, pageUrl }: BootedNode): void {
  view.heading('Try next, in another terminal');
  view.text(`  export BILLET_CONTEXT=${fleet.context}`);
  for (const line of [
    `npx billet instance show ${instance.id}`,
    'npx billet events --follow',
    `npx billet node set ${instance.node} --remove-module web`,
    `npx billet task create collect-logs ${instance.node} --unit billet-agent.service --wait`,
    `npx billet task create reboot ${instance.node} --wait`,
    `curl ${pageUrl}`,
  ])
    view.text(`  ${line}`);
  view.text('\nThe machine runs until Ctrl-C.');
}
