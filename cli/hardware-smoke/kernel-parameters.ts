// The words that a machine to be tried needs on its kernel command line, and what may not be among
// them: a file with these words is handed on, so that it never holds a secret. Pure.

import { BilletError } from '#shared/errors.ts';

export interface ParameterSource {
  readonly coordinator?: string;
  readonly ca?: string;
  /** More words, for network, VLAN, time: as they are. */
  readonly extra: readonly string[];
}

/** The last console is /dev/console, where the markers go. */
const CONSOLES = ['console=tty0', 'console=ttyS0,115200'];

/** In order, each word as the kernel reads it. Throws ARGUMENT_INVALID. */
export function kernelParameters({ coordinator, ca, extra }: ParameterSource): readonly string[] {
  const ownConsole = extra.some((word) => word.startsWith('console='));
  const words = [
    ...(ownConsole ? [] : CONSOLES),
    ...(coordinator === undefined ? [] : [`billet.coordinator=${coordinator}`]),
    ...(ca === undefined ? [] : [`billet.ca=${ca}`]),
    ...extra,
  ];
  for (const word of words) assertFit(word);
  return words;
}

function assertFit(word: string): void {
  if (/^billet\.token=/.test(word))
    throw invalid(
      'a bootstrap token does not go into kernel parameters here',
      'register the machine by MAC address, UUID or serial, or let it ask to be claimed',
    );
  if (/[^\x21-\x7e]/.test(word) || word === '')
    throw invalid(
      `${JSON.stringify(word)} is not one word of a kernel command line`,
      'give --parameter once for each word',
    );
}

const invalid = (message: string, hint: string) =>
  new BilletError('ARGUMENT_INVALID', message, { hint });
