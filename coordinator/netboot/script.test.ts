import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import { BootImage } from '#shared/schema/desired.ts';
import { Identity } from '#shared/schema/identity.ts';
import { bootScript, GENERIC_SCRIPT, waitingScript } from './script.ts';

const image = (commandLine: string) =>
  BootImage.parse({
    repository: 'boot',
    manifest: sha256('m'),
    kernel: sha256('k'),
    initramfs: sha256('i'),
    kernelRelease: '6.12.0',
    commandLine,
  });
const identity = Identity.parse({
  coordinator: 'https://10.0.2.2:8443',
  ca: sha256('ca'),
  instance: 'i-0000000000000001',
  token: 't'.repeat(43),
});

test('a boot script carries the image of the generation and the identity as words', () => {
  const script = bootScript(image('console=ttyS0  quiet'), identity, 'web-1');
  assert.match(script, /^#!ipxe\n/);
  const kernel = script.split('\n').find((line) => line.startsWith('kernel'));
  assert.equal(
    kernel,
    `kernel --name kernel images/${sha256('k').replace(':', '-')}?node=web-1 initrd=initrd ` +
      'console=ttyS0 quiet panic=10 billet.coordinator=https://10.0.2.2:8443 ' +
      `billet.ca=${identity.ca} billet.instance=${identity.instance} ` +
      `billet.token=${identity.token} || goto failed`,
  );
});

test('a boot image that says what a panic does is left alone', () => {
  const script = bootScript(image('panic=0 quiet'), identity, 'web-1');
  assert.match(script, / panic=0 quiet billet\.coordinator=/);
});

test('what iPXE would take for more than a word is refused', () => {
  for (const bad of ['a=\u0024{net0/ip}', 'a && shell', 'a || shell', '#comment'])
    assert.throws(() => bootScript(image(bad), identity, 'web-1'), { code: 'BODY_INVALID' });
});

test('text for the console cannot become a command', () => {
  const lines = ['evil\nshell', '\u0024{version} && shell || reboot'];
  const script = waitingScript([{ kind: 'mac', value: '52:54:00:00:00:01' }], lines);
  assert.deepEqual(script.split('\n').slice(1, 3), [
    'echo Billet: evil?shell',
    'echo Billet: $ {version} & & shell | | reboot',
  ]);
  assert.match(script, /node\.ipxe\?mac=52-54-00-00-00-01 \|\|/);
  assert.match(GENERIC_SCRIPT, /\$\{netX\/mac:hexhyp\}/);
});

test('a machine is asked for its serial and asset tag, and what it said goes into a URL as one word', () => {
  assert.match(GENERIC_SCRIPT, /&serial=\$\{serial:uristring\}&asset=\$\{asset:uristring\} \|\|$/m);
  const shown = [
    { kind: 'uuid', value: '5f0c3a52-8a3e-4d4b-9a70-0d1f0b1150a2' },
    { kind: 'serial', value: 'CZ 31/04:A?7&K=#+' },
    { kind: 'asset-tag', value: '\u0024{version} || shell' },
  ] as const;
  const line = waitingScript(shown, [])
    .split('\n')
    .find((each) => each.startsWith('chain'));
  assert.equal(
    line,
    'chain --replace node.ipxe?uuid=5f0c3a52-8a3e-4d4b-9a70-0d1f0b1150a2' +
      '&serial=CZ%2031%2F04%3AA%3F7%26K%3D%23%2B&asset=%24%7Bversion%7D%20%7C%7C%20shell ||',
  );
});
