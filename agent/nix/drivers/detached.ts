// Runs a program in a transient unit of systemd (systemd-run(1)), which outlives the agent: an activation
// may restart the agent's own unit. What came of it stays with systemd until it is forgotten.

import { BilletError } from '#shared/errors.ts';
import { type Argv, type Exec, execOrThrow } from '../../drivers/exec.ts';

export interface DetachedRun {
  /** With .service. */
  readonly name: string;
  readonly argv: Argv;
  readonly environment: Readonly<Record<string, string>>;
  /** systemd ends it then, with all that it started. */
  readonly timeoutSeconds: number;
}

/** none: it was never started in this boot, or it was forgotten. */
export type DetachedState =
  | { readonly kind: 'none' | 'running' | 'succeeded' | 'timed-out' }
  | { readonly kind: 'failed'; readonly exitCode: number };

export interface Detached {
  /** Returns once systemd has it. Throws COMMAND_FAILED. */
  start(run: DetachedRun, signal: AbortSignal): Promise<void>;
  state(name: string, signal: AbortSignal): Promise<DetachedState>;
  /** Its last lines; empty where nobody kept them. */
  said(name: string, signal: AbortSignal): Promise<string>;
  /** Ends it where it runs. One that is not there is fine. */
  forget(name: string, signal: AbortSignal): Promise<void>;
}

const HINT = 'on the node: systemctl list-jobs; journalctl -b -n 50';

export function systemdDetached({ exec }: { readonly exec: Exec }): Detached {
  return {
    async start(run, signal) {
      await execOrThrow(exec, systemdRun(run), signal, HINT);
    },
    async state(name, signal) {
      const properties = 'LoadState,ActiveState,Job,Result,ExecMainStatus';
      const argv = ['systemctl', 'show', `--property=${properties}`, '--', name] as const;
      return parseState(await execOrThrow(exec, argv, signal, HINT));
    },
    async said(name, signal) {
      const argv = ['journalctl', '--unit', name, '--boot', '--lines=20', '--output=cat'] as const;
      const { code, stdout } = await exec([...argv, '--no-pager'], signal);
      return code === 0 ? stdout.trim() : '';
    },
    async forget(name, signal) {
      for (const verb of ['stop', 'reset-failed']) {
        const { code, stderr } = await exec(['systemctl', verb, '--', name], signal);
        if (code !== 0 && !/not loaded|not found/.test(stderr))
          throw new BilletError('COMMAND_FAILED', `systemctl ${verb} ${name}: ${stderr.trim()}`, {
            hint: HINT,
          });
      }
    },
  };
}

/**
 * A oneshot, so that TimeoutStartSec= is its deadline; it stays after its end, for its result to be read
 * by whoever comes back.
 */
export const systemdRun = ({ name, argv, environment, timeoutSeconds }: DetachedRun): Argv => [
  'systemd-run',
  `--unit=${name}`,
  '--description=Activation of a NixOS system by Billet',
  '--no-ask-password',
  '--no-block',
  '--quiet',
  '--service-type=oneshot',
  '--property=RemainAfterExit=yes',
  `--property=TimeoutStartSec=${timeoutSeconds}s`,
  '--property=KillMode=control-group',
  ...Object.entries(environment).map(([key, value]) => `--setenv=${key}=${value}`),
  '--',
  ...argv,
];

/** `Key=value` lines of systemctl show. */
export function parseState(text: string): DetachedState {
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1] ?? '';
  if (value('LoadState') !== 'loaded') return { kind: 'none' };
  switch (value('ActiveState')) {
    case 'active':
      return { kind: 'succeeded' };
    case 'failed':
      return value('Result') === 'timeout'
        ? { kind: 'timed-out' }
        : { kind: 'failed', exitCode: Number(value('ExecMainStatus')) };
    case 'inactive':
      // Not begun yet, where systemd still has the job.
      return { kind: value('Job') === '' || value('Job') === '0' ? 'none' : 'running' };
    default:
      return { kind: 'running' };
  }
}
