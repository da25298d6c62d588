// Tells systemd how the agent is: READY, STATUS, EXTEND_TIMEOUT, WATCHDOG and STOPPING (sd_notify(3)), over a socket
// that systemd opened for it (OpenFile=/run/systemd/notify:notify).

import { writeSync } from 'node:fs';

export interface Notify {
  /** Once, when the agent does its work. */
  ready(): void;
  /** One line for `systemctl status`. */
  status(text: string): void;
  /** The start takes so much longer from now on. */
  extendStart(ms: number): void;
  /** The event loop is alive. */
  watchdog(): void;
  stopping(): void;
}

/** `fd` null: there is nobody to tell. */
export function openNotify(fd: number | null): Notify {
  let open = fd;
  function send(text: string): void {
    if (open === null) return;
    try {
      writeSync(open, text);
    } catch (error) {
      if (!(error instanceof Error && 'errno' in error)) throw error;
      // systemd restarted, and its old socket with it: without it the watchdog will restart us.
      open = null;
    }
  }
  return {
    ready: () => send('READY=1\n'),
    status: (text) => send(`STATUS=${text.replace(/\p{Cc}+/gu, ' ').slice(0, 512)}\n`),
    extendStart: (ms) => send(`EXTEND_TIMEOUT_USEC=${ms * 1000}\n`),
    watchdog: () => send('WATCHDOG=1\n'),
    stopping: () => send('STOPPING=1\n'),
  };
}

/**
 * Descriptors by name, as systemd passes them (sd_listen_fds_with_names(3)). Empty for a process
 * that they are not for.
 */
export function inheritedFds(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): ReadonlyMap<string, number> {
  const count = Number(env.LISTEN_FDS ?? 0);
  if (Number(env.LISTEN_PID) !== pid || !Number.isInteger(count) || count <= 0) return new Map();
  const names = (env.LISTEN_FDNAMES ?? '').split(':');
  return new Map(
    Array.from({ length: count }, (_, index) => [names[index] || `fd-${index}`, 3 + index]),
  );
}
