// What does not fit a schema, for people.

import type { z } from 'zod';

const SHOWN = 10;
/** Keys of what somebody sent may be long. */
const LENGTH_MAX = 1000;

/** One line, each fault with its place: `disk.serial: expected string, received number; unknown field diks`. */
export function describeFaults({ issues }: z.ZodError): string {
  const shown = issues.slice(0, SHOWN).map(describe).join('; ').slice(0, LENGTH_MAX);
  return issues.length > SHOWN ? `${shown}; and ${issues.length - SHOWN} more` : shown;
}

function describe(issue: z.core.$ZodIssue): string {
  const place = issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
  if (issue.code === 'unrecognized_keys')
    return `${place}unknown field${issue.keys.length > 1 ? 's' : ''} ${issue.keys.join(', ')}`;
  return `${place}${issue.message.replace(/^Invalid input: /, '')}`;
}
