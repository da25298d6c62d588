// Restarts the machine through systemd. What comes up afterwards is decided elsewhere.

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
