// A document of `billet apply`, what can be wrong with it, and where it stands. Reads nothing.

import { BilletError } from '#shared/errors.ts';
import type { Kind } from '#shared/schema/catalog.ts';
import type { Written } from './written.ts';

const FINDINGS_SHOWN = 20;

/** Where something stands: `fleet/web.yaml:12`. */
export type Place = string;

export interface Finding {
  readonly place: Place;
  /** `spec.modules[0].name`; empty for the document itself. */
  readonly field: string;
  readonly text: string;
}

/** A document as it is written: references to the registry are still texts. */
export interface Document {
  readonly kind: Kind;
  readonly name: string;
  /** As the schema of its kind reads it, with stand-ins where `written` says what really stands. */
  readonly spec: Readonly<Record<string, unknown>>;
  readonly written: readonly Written[];
  readonly place: Place;
  /** Where a field stands, e.g. ['spec', 'template']. */
  placeOf(path: readonly PropertyKey[]): Place;
}

/** As documents write a kind: InstanceType. */
export const kindName = (kind: Kind): string =>
  kind.replace(/(^|-)([a-z])/g, (_, _dash, letter: string) => letter.toUpperCase());

export function invalid(findings: readonly Finding[]): BilletError {
  const shown = findings
    .slice(0, FINDINGS_SHOWN)
    .map(({ place, field, text }) => `${place}: ${field === '' ? '' : `${field}: `}${text}`);
  const more = findings.length - shown.length;
  return new BilletError(
    'DOCUMENT_INVALID',
    [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('\n'),
    {
      hint: 'mend the lines above; nothing was changed',
      details: { findings: findings.slice(0, FINDINGS_SHOWN) },
    },
  );
}
