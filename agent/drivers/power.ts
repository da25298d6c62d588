// Restarts the machine: through systemd, or at once where there is none. What comes up afterwards is
// decided elsewhere.

import { type Exec, execOrThrow } from './exec.ts';

export interface Power {
  /** Returns once the restart has begun. Throws COMMAND_FAILED. */
  restart(signal: AbortSignal): Promise<void>;
}

export const systemdPower = ({ exec }: { readonly exec: Exec }): Power => ({
  async restart(signal) {
    await execOrThrow(
      exec,
      ['systemctl', '--no-block', 'reboot'],
      signal,
      'on the node: systemctl list-jobs; journalctl -b -n 50',
    );
  },
});

/** In the initramfs: nothing runs there that would have to be stopped. reboot(8) of busybox. */
export const bootPower = ({ exec }: { readonly exec: Exec }): Power => ({
  async restart(signal) {
    const hint = 'switch the machine off and on';
    await execOrThrow(exec, ['sync'], signal, hint);
    await execOrThrow(exec, ['reboot', '-f'], signal, hint);
  },
});
