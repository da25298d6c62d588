// The one table of boot markers: what a node prints on its console and journal as it comes up. A
// contract: the demo, the tests, hardware smoke runs and people read these lines.

import { BilletError, type Code } from './errors.ts';

export const MARKERS = {
  'boot-start': 'the initramfs runs its agent',
  'network-up': 'an interface has an address',
  identity: 'the machine knows which instance it is',
  claim:
    'this machine waits to be let in, and why: a person may approve the code; again with each new one',
  clock: 'the clock of the machine was wrong, and has been set',
  enrolled: 'the coordinator has issued a certificate',
  desired: 'the desired state is here',
  'store-ready': 'the object store is mounted',
  'pull-progress': 'bytes of module layers that have arrived; repeated',
  pulled: 'every layer of every system module is here',
  verified: 'signatures and digests agree with the trust policy',
  composed: 'the system image is merged, and its digest known',
  sealed: 'fs-verity is on for every object',
  mounted: 'the root is mounted',
  'install-plan': 'the one disk that the install plan means is found; what is done to it follows',
  'install-step': 'a step of the installation begins',
  'install-progress': 'how much of the installation is done; repeated',
  installed: 'the system is on the disk; the machine restarts from it, or goes on from it',
  'boot-slot': 'the machine was started from a boot slot of its disk',
  'slot-written':
    'a boot slot holds another boot image for the next boot, or a copy to fall back to',
  'slot-good':
    'the boot image of this boot is good: its tries are given back now, and at each boot that it begins',
  'switch-root': 'the initramfs hands over to the system image',
  'agent-start': 'the agent of the system image runs',
  attached: 'a service module runs',
  detached: 'a service module is stopped',
  ready: 'the node reports phase=ready',
  retry: 'a stage failed and is tried again',
} as const satisfies Record<string, string>;

export type Marker = keyof typeof MARKERS;
export type MarkerValue = string | number | boolean;

/** Anything that could end the line or forge a second one is escaped as in JSON. */
function field(key: string, value: MarkerValue): string {
  const text = String(value);
  return /^[\w.:/@+-]+$/.test(text) ? `${key}=${text}` : `${key}=${escapeText(text)}`;
}

const escapeText = (text: string) =>
  JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** `BILLET_MARKER stage key=value …`, one line. */
export function markerLine(stage: Marker, fields: Record<string, MarkerValue> = {}): string {
  const rest = Object.entries(fields).map(([key, value]) => ` ${field(key, value)}`);
  return `BILLET_MARKER ${stage}${rest.join('')}`;
}

/** `BILLET_FAILURE stage code=… message=… hint=…`, one line. */
export function failureLine(
  stage: Marker,
  error: { code: Code; message: string; hint: string },
): string {
  const { code, message, hint } = error;
  return `BILLET_FAILURE ${stage} ${field('code', code)} ${field('message', message)} ${field('hint', hint)}`;
}

export interface MarkerRecord {
  readonly failure: boolean;
  readonly stage: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** The marker in a console line, whatever stands before it; null when there is none. */
export function parseMarker(line: string): MarkerRecord | null {
  const found =
    /BILLET_(MARKER|FAILURE) ([a-z-]+)((?: [A-Za-z][\w-]*=(?:"(?:[^"\\]|\\.)*"|\S*))*)/.exec(line);
  if (!found) return null;
  const fields: Record<string, string> = {};
  for (const [, key = '', value = ''] of (found[3] ?? '').matchAll(
    / ([A-Za-z][\w-]*)=("(?:[^"\\]|\\.)*"|\S*)/g,
  ))
    fields[key] = value.startsWith('"') ? unescapeText(value) : value;
  return { failure: found[1] === 'FAILURE', stage: found[2] ?? '', fields };
}

function unescapeText(quoted: string): string {
  try {
    return String(JSON.parse(quoted));
  } catch (cause) {
    throw new BilletError('BODY_INVALID', `not a quoted marker value: ${quoted}`, {
      hint: 'markers are written by shared/markers.ts only',
      cause,
    });
  }
}
