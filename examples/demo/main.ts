// `npm run demo`: from nothing to a node that runs verified modules. Builds what is missing, starts a
// coordinator on loopback, boots a blank QEMU machine from the network, and shows each step. With
// --once it checks and exits; without, it stays until Ctrl-C. Nothing is left running or mounted.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDirOf } from '#shared/build-cache.ts';
import { systemClock } from '#shared/clock.ts';
import { probeAccelerator } from '#shared/qemu/drivers/kvm.ts';
import type { CommandIo } from '../../cli/command-io.ts';
import { prepareArtifacts } from '../../lab/artifacts.ts';
import { bootNode, tryNext } from './boot-node.ts';
import { outcomeOf } from './outcome.ts';
import { publish, type Scene } from './scene.ts';
import { terminalView, type View } from './view.ts';

const USAGE = `Usage: npm run demo [-- --once] [-- --cpus N] [-- --memory MIB]

  --once      check that the node runs and its page answers, then exit
  --cpus      virtual CPUs of the machine (default 2)
  --memory    its memory in MiB (default 2048)
`;

const interrupt = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(name, () => interrupt.abort());

const io: CommandIo = {
  stdout: process.stdout,
  stderr: process.stderr,
  clock: systemClock,
  colour: process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb',
  interactive: process.stdout.isTTY === true && process.env.TERM !== 'dumb',
  columns: Math.min(process.stdout.columns ?? 80, 100),
  env: process.env,
  signal: interrupt.signal,
};

process.exitCode = await main();

async function main(): Promise<number> {
  const options = readOptions();
  if (options === null) return 2;
  const view = terminalView(io);
  const dir = await mkdtemp(join(tmpdir(), 'billet-demo-'));
  return await outcomeOf(view, interrupt.signal, {
    play: () => play(view, dir, options),
    clear: () => rm(dir, { recursive: true, force: true }),
  });
}

interface Options {
  readonly once: boolean;
  readonly cpus: number;
  readonly memoryMib: number;
}

function readOptions(): Options | null {
  try {
    const { values } = parseArgs({
      options: {
        once: { type: 'boolean', default: false },
        cpus: { type: 'string', default: '2' },
        memory: { type: 'string', default: '2048' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    const [cpus, memoryMib] = [Number(values.cpus), Number(values.memory)];
    if (values.help || !(cpus >= 1) || !(memoryMib >= 1024))
      throw new TypeError('--cpus from 1, --memory from 1024');
    return { once: values.once, cpus, memoryMib };
  } catch (error) {
    const asked = process.argv.includes('--help') || process.argv.includes('-h');
    process.stderr.write(
      asked ? USAGE : `error: ${error instanceof Error ? error.message : error}\n\n${USAGE}`,
    );
    return null;
  }
}

async function play(view: View, dir: string, options: Options): Promise<void> {
  const cacheDir = cacheDirOf(process.env);
  await mkdir(cacheDir, { recursive: true });
  view.text('Billet: a blank machine, from power-on to a running, verified member of a fleet');

  view.heading('Build (kept in the cache until an input changes)');
  const artifacts = await timed(view, 'Boot image and three modules', () =>
    prepareArtifacts({
      cacheDir,
      clock: systemClock,
      signal: interrupt.signal,
      progress: (line) => view.live(line),
    }),
  );
  const accelerator = await timed(view, 'Does KVM work here?', () =>
    probeAccelerator(artifacts.boot.kernel, artifacts.boot.initramfs, interrupt.signal),
  );

  view.heading('Fleet');
  const scene: Scene = { artifacts, accelerator, dir, view, signal: interrupt.signal, ...options };
  await using fleet = await publish(scene);
  view.heading(
    `Power on: a blank machine, ${options.cpus} CPUs, ${options.memoryMib} MiB, ${accelerator === 'kvm' ? 'KVM' : 'TCG (emulated: no usable KVM)'}`,
  );
  await using node = await bootNode(scene, fleet);
  if (options.once) return;
  tryNext(view, fleet, node);
  await new Promise<void>((resolve) => {
    interrupt.signal.addEventListener('abort', () => resolve(), { once: true });
    node.powered.machine.exited.then(() => resolve()).catch(() => resolve());
  });
  view.text('\nSwitched off. Nothing is left running.');
}

async function timed<T>(view: View, title: string, act: () => Promise<T>): Promise<T> {
  const start = systemClock.monotonic();
  view.live(title);
  const result = await act();
  view.done(
    title,
    typeof result === 'string' ? `uses ${result}` : '',
    (systemClock.monotonic() - start) / 1000,
  );
  return result;
}
