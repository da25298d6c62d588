// Runs the probes that signed labels and tasks name, until they pass or their time is over. Asks the
// node itself only: loopback addresses and systemd.

import { request } from 'undici';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { Probe } from '#shared/schema/module.ts';
import type { Units } from '../drivers/units.ts';

export interface ProbeDeps {
  readonly clock: Clock;
  readonly units: Units;
}

const INTERVAL_MS = 500;
const BODY_LIMIT_BYTES = 1024 * 1024;

/**
 * Resolves with what it found once the probe passes. Tries again until `timeoutSeconds` are over,
 * and then throws PROBE_FAILED with the last finding.
 */
export async function runProbe(
  probe: Probe,
  { clock, units }: ProbeDeps,
  signal: AbortSignal,
): Promise<string> {
  const deadline = clock.monotonic() + probe.timeoutSeconds * 1000;
  for (;;) {
    const leftMs = Math.max(1, Math.ceil(deadline - clock.monotonic()));
    const limited = AbortSignal.any([signal, AbortSignal.timeout(leftMs)]);
    const finding = await attempt(probe, units, limited);
    signal.throwIfAborted();
    if (finding.passed) return finding.text;
    if (clock.monotonic() + INTERVAL_MS >= deadline) throw failed(probe, finding.text);
    await clock.sleep(INTERVAL_MS, signal);
  }
}

interface Finding {
  readonly passed: boolean;
  readonly text: string;
}

async function attempt(probe: Probe, units: Units, signal: AbortSignal): Promise<Finding> {
  try {
    return probe.kind === 'http'
      ? await askHttp(probe, signal)
      : await askUnit(probe.unit, units, signal);
  } catch (error) {
    return { passed: false, text: error instanceof Error ? error.message : String(error) };
  }
}

async function askHttp(
  probe: Extract<Probe, { kind: 'http' }>,
  signal: AbortSignal,
): Promise<Finding> {
  const { statusCode, body } = await request(probe.url, { signal });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > BODY_LIMIT_BYTES) break;
  }
  if (statusCode !== probe.status)
    return { passed: false, text: `${probe.url} answered ${statusCode}, not ${probe.status}` };
  const text = Buffer.concat(chunks).toString('utf8');
  if (probe.contains !== undefined && !text.includes(probe.contains))
    return {
      passed: false,
      text: `${probe.url} does not contain ${JSON.stringify(probe.contains)}`,
    };
  return { passed: true, text: `${probe.url} answered ${statusCode}` };
}

async function askUnit(unit: string, units: Units, signal: AbortSignal): Promise<Finding> {
  const state = (await units.states([unit], signal)).get(unit) ?? 'missing';
  return { passed: state === 'active', text: `${unit} is ${state}` };
}

function failed(probe: Probe, finding: string): BilletError {
  const place =
    probe.kind === 'unit' ? `journalctl -u ${probe.unit} -n 50` : `curl -i ${probe.url}`;
  return new BilletError('PROBE_FAILED', `probe ${probe.name}: ${finding}`, {
    hint: `on the node: ${place}`,
    details: { probe: probe.name },
  });
}
