// iPXE scripts (ipxe.org/scripting) as text. Every value is checked against what a script could take
// for more than a word: iPXE has no quoting, so what does not fit is refused, never escaped.

import { BilletError } from '#shared/errors.ts';
import type { BootImage } from '#shared/schema/desired.ts';
import type { Identity } from '#shared/schema/identity.ts';
import { type Identifier, identifierKey } from '../nodes/identifiers/rules.ts';

/** As what a request for a node's script names them. */
export const FIELDS = {
  mac: 'mac',
  uuid: 'uuid',
  serial: 'serial',
  'asset-tag': 'asset',
} as const satisfies Record<Identifier['kind'], string>;

/**
 * Asks who the machine is: the one address to put into DHCP. Relative, so that it works behind NAT. What
 * the machine lacks is empty (ipxe.org/cfg: uuid, serial, asset).
 */
export const GENERIC_SCRIPT = `#!ipxe
echo Billet: asking the coordinator who this machine is
:again
chain --replace node.ipxe?mac=\${netX/mac:hexhyp}&uuid=\${uuid}&serial=\${serial:uristring}&asset=\${asset:uristring} ||
echo Billet: no answer, trying again in 10 seconds
sleep 10
goto again
`;

/** Says why nothing boots, and asks again: an order that comes later needs no hand at the machine. */
export function waitingScript(shown: readonly Identifier[], lines: readonly string[]): string {
  const query = shown.map((one) => `${FIELDS[one.kind]}=${queryText(one)}`).join('&');
  return [
    '#!ipxe',
    ...lines.map((line) => `echo Billet: ${plain(line)}`),
    'echo Billet: asking again in 10 seconds',
    ':again',
    'sleep 10',
    `chain --replace node.ipxe?${query} ||`,
    'goto again',
    '',
  ].join('\n');
}

/** A kernel that panics before anything of ours runs boots again, instead of waiting for a hand. */
const PANIC = 'panic=10';

/** Boots the image of the instance's generation, with its identity on the kernel's command line. */
export function bootScript(image: BootImage, identity: Identity, node: string): string {
  assertQuotes(image.commandLine);
  const own = image.commandLine.split(' ').filter((word) => word !== '');
  const words = [
    ...own,
    ...(own.some((each) => each.startsWith('panic=')) ? [] : [PANIC]),
    `billet.coordinator=${identity.coordinator}`,
    `billet.ca=${identity.ca}`,
    `billet.instance=${identity.instance}`,
    ...(identity.token === undefined ? [] : [`billet.token=${identity.token}`]),
  ].map(word);
  const file = (digest: string) => `images/${digest.replace(':', '-')}?node=${word(node)}`;
  return [
    '#!ipxe',
    `echo Billet: booting ${word(node)} as ${word(identity.instance)}`,
    'imgfree',
    `kernel --name kernel ${file(image.kernel)} initrd=initrd ${words.join(' ')} || goto failed`,
    `initrd --name initrd ${file(image.initramfs)} || goto failed`,
    'boot || goto failed',
    ':failed',
    'echo Billet: the boot image did not load, trying again in 10 seconds',
    'sleep 10',
    'chain --replace boot.ipxe',
    '',
  ].join('\n');
}

/** To the kernel a quote that is left open takes all that follows into one word: the identity, too. */
function assertQuotes(commandLine: string): void {
  if ((commandLine.split('"').length - 1) % 2 === 0) return;
  throw new BilletError('BODY_INVALID', `a quote is left open in ${JSON.stringify(commandLine)}`, {
    hint: 'close it in the command line of the boot image',
  });
}

/** One word of a script line: no expansion, no operator, no comment, no space. */
function word(text: string): string {
  const isWord =
    /^[\x21-\x7e]+$/.test(text) && !text.includes('${') && !/^(?:&&|\|\||#.*)$/.test(text);
  if (isWord) return text;
  throw new BilletError('BODY_INVALID', `not a word of an iPXE script: ${JSON.stringify(text)}`, {
    hint: 'take ${, && and || out of the command line of the boot image',
  });
}

/** Without colons, which iPXE takes for the end of a scheme, and nothing else that means anything there. */
const queryText = (one: Identifier): string =>
  one.kind === 'mac' ? identifierKey(one) : encodeURIComponent(one.value);

/** Text for the console: what iPXE would read as more than text is left out. */
const plain = (text: string): string =>
  text
    .replace(/[^\x20-\x7e]/g, '?')
    .replaceAll('${', '$ {')
    .replaceAll('&&', '& &')
    .replaceAll('||', '| |');
