// A machine of the lab that is switched on, and what its console says: markers with the second they
// came, kept in order, so that a test or the demo can wait for the next one.

import { once } from 'node:events';
import { createServer } from 'node:net';
import { systemClock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { type Marker, type MarkerRecord, parseMarker } from '#shared/markers.ts';
import type { QemuSpec } from '#shared/qemu/arguments.ts';
import { type Machine, startMachine } from '#shared/qemu/drivers/qemu.ts';

export interface Sighting {
  readonly marker: MarkerRecord;
  /** Seconds since power-on, by the host's clock. */
  readonly atSeconds: number;
}

export interface PoweredMachine extends AsyncDisposable {
  readonly machine: Machine;
  readonly sightings: readonly Sighting[];
  /** Called with each marker as it comes. */
  onMarker(listener: (sighting: Sighting) => void): void;
  /**
   * The first sighting at or after `from` that `wanted` accepts. Throws TIMEOUT with the end of the
   * console, or COMMAND_FAILED when the machine is gone.
   */
  waitFor(
    wanted: Marker | ((marker: MarkerRecord) => boolean),
    limits: WaitLimits,
  ): Promise<Sighting>;
  /** The console so far, the last 64 KiB. */
  console(): string;
}

export interface WaitLimits {
  readonly timeoutMs: number;
  /** Index into `sightings`; 0 without it. */
  readonly from?: number;
}

const CONSOLE_LIMIT = 64 * 1024;

/**
 * How long suites wait for a boot, and for a change of what runs: over twice of what either takes where two
 * machines share two processors. Shared hosts are slower by a half for minutes.
 */
export const BOOT_MS = 480_000;
export const CHANGE_MS = 300_000;

/**
 * Processors of a lab's machine: two, or what BILLET_LAB_CPUS says. Where two machines share two processors,
 * one each is faster: of two pairs, each waits for its other half (docs/performance.md).
 */
export const labCpus = (): number => Number(process.env.BILLET_LAB_CPUS ?? 2);

export async function powerOn(
  spec: QemuSpec,
  logPath: string,
  signal: AbortSignal,
): Promise<PoweredMachine> {
  const start = systemClock.monotonic();
  const machine = await startMachine(spec, logPath, signal);
  const sightings: Sighting[] = [];
  const listeners: ((sighting: Sighting) => void)[] = [];
  let text = '';

  machine.onLine((line) => {
    text = `${text}${line}\n`.slice(-CONSOLE_LIMIT);
    const marker = parseMarker(line);
    if (!marker) return;
    const sighting = { marker, atSeconds: (systemClock.monotonic() - start) / 1000 };
    sightings.push(sighting);
    for (const listener of listeners) listener(sighting);
  });

  return {
    machine,
    sightings,
    onMarker: (listener) => listeners.push(listener),
    console: () => text,
    async waitFor(wanted, { timeoutMs, from = 0 }) {
      const matches =
        typeof wanted === 'string'
          ? (marker: MarkerRecord) => !marker.failure && marker.stage === wanted
          : wanted;
      const seen = sightings.slice(from).find(({ marker }) => matches(marker));
      if (seen) return seen;
      const found = Promise.withResolvers<Sighting>();
      const listener = (sighting: Sighting) => {
        if (matches(sighting.marker)) found.resolve(sighting);
      };
      listeners.push(listener);
      const late = setTimeout(
        () => found.reject(lateError(String(wanted), timeoutMs, text)),
        timeoutMs,
      );
      const stopped = () => found.reject(signal.reason);
      signal.addEventListener('abort', stopped, { once: true });
      const gone = machine.exited.then((code) => found.reject(goneError(code, text)));
      gone.catch(() => undefined);
      try {
        return await found.promise;
      } finally {
        clearTimeout(late);
        signal.removeEventListener('abort', stopped);
        listeners.splice(listeners.indexOf(listener), 1);
      }
    },
    [Symbol.asyncDispose]: () => machine.dispose(),
  };
}

/** A port of the loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  return address.port;
}

const tail = (text: string) => text.split('\n').slice(-40).join('\n');

const lateError = (wanted: string, timeoutMs: number, text: string) =>
  new BilletError(
    'TIMEOUT',
    `no ${wanted} within ${timeoutMs / 1000} s; the console ends with\n${tail(text)}`,
    {
      hint: 'read the whole console log',
    },
  );

const goneError = (code: number | null, text: string) =>
  new BilletError(
    'COMMAND_FAILED',
    `the machine ended with ${code}; the console ends with\n${tail(text)}`,
    {
      hint: 'read the whole console log',
    },
  );
