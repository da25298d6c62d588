// A person as transport: is told what to do, step by step, and does it; the tool watches the console.

import type { CommandIo } from '../../command-io.ts';
import { clean, wrap } from '../../output.ts';
import type { Attached, Medium, Transport } from './transport.ts';

export interface ManualOptions {
  /** The serial device, file or `-` that is watched; undefined without one. */
  readonly console?: string;
  /** The medium has to be put in first. */
  readonly fromMedium: boolean;
}

export function manualTransport(io: CommandIo, options: ManualOptions): Transport {
  const watched = options.console;
  return {
    name: 'manual',
    async probe() {
      const available = watched !== undefined;
      return {
        ...{ transport: 'manual', available, code: available ? null : 'SMOKE_BLOCKED' },
        why: available ? `a person does it, and ${watched} is watched` : 'no console is named',
        hint: available ? '' : 'name its serial console with --console, or a BMC with --bmc',
        details: { console: watched ?? null },
      };
    },
    attach: async (medium) => attached(io, options, medium),
  };
}

function attached(io: CommandIo, { console, fromMedium }: ManualOptions, medium: Medium): Attached {
  const steps = [
    ...(fromMedium
      ? [
          `Attach the medium${medium.iso === null ? '' : ` (${medium.iso})`}: a USB stick, or virtual media of the BMC.`,
          'Set the firmware to boot once from the medium: one-time boot menu, UEFI entry.',
        ]
      : ['Set the firmware to boot once from the network, or from its disk.']),
    'Switch the machine on. From here on the console is watched.',
  ];
  return {
    console: null,
    async boot(signal) {
      for (const [i, step] of steps.entries()) {
        const [first = '', ...more] = wrap(clean(`${i + 1}. ${step}`), io.columns - 5);
        for (const line of [first, ...more.map((text) => `   ${text}`)])
          io.stderr.write(`  ${line}\n`);
        if (console !== '-' && i < steps.length - 1) await enter(io, signal);
      }
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** Waits for a line on a terminal; elsewhere nobody could say that it is done. */
async function enter(io: CommandIo, signal: AbortSignal): Promise<void> {
  const { stdin } = io;
  if (!io.interactive || stdin?.isTTY !== true) return;
  io.stderr.write('     [Enter when done] ');
  const typed = Promise.withResolvers<void>();
  const done = () => typed.resolve();
  stdin.once('data', done);
  signal.addEventListener('abort', done, { once: true });
  stdin.resume();
  await typed.promise;
  stdin.pause();
  stdin.off('data', done);
  signal.removeEventListener('abort', done);
}
