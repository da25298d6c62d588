// handoff.md: what the person at the rack does, from an empty machine to a result that is sent back.
// Complete by itself: whoever reads it has this folder and the machine. Pure; holds no secret.

import { basename } from 'node:path';
import { MARKERS } from '#shared/markers.ts';
import type { ImageFile } from './environment.ts';
import type { Flow } from './flows.ts';
import type { Probe } from './transports/transport.ts';

export interface HandoffParts {
  readonly flow: Flow;
  readonly image: ImageFile | null;
  readonly parameters: readonly string[];
  readonly coordinator: string | null;
  readonly ca: string | null;
  readonly node: string | null;
  readonly probe: Probe;
  /** The serial device or file that was named; null without one. */
  readonly console: string | null;
  readonly baud: number;
  readonly timeoutSeconds: number;
}

export const handoffText = (parts: HandoffParts): string =>
  [
    ...opening(parts),
    ...beforeYouGo(parts),
    ...medium(parts),
    ...machine(parts),
    ...capturing(parts),
    ...watching(parts),
    ...wrong(),
    ...sending(),
  ].join('\n');

const opening = ({ flow, probe, timeoutSeconds }: HandoffParts) => [
  '# Hand-off: one machine, from power-on to ready',
  '',
  `Flow \`${flow.name}\`: ${flow.title}. Allow ${Math.ceil(timeoutSeconds / 60)} minutes.`,
  '',
  probe.available
    ? `The transport \`${probe.transport}\` answers: ${probe.why}. \`billet hardware-smoke run\` can do steps 2 to 4 by itself; by hand they are as below.`
    : `No transport was available when this was written: ${probe.why}. So a person does it, as below.${probe.hint === '' ? '' : ` To have a transport: ${probe.hint}.`}`,
  '',
  flow.name === 'iso-install'
    ? '**The disk that the install plan names loses what is on it only if the plan carries its wipe id.** A disk with data is otherwise refused, and stays as it is.'
    : 'Nothing is written to a disk that has no label `billet-persist`.',
  '',
];

const beforeYouGo = ({ node, coordinator, ca, flow }: HandoffParts) => [
  '## 1. Before you go',
  '',
  '- The files of this folder: `kernel-parameters`, `expected-markers`, `failure-markers`, `environment.json`.',
  `- The coordinator runs and is reached from the machine’s network${coordinator === null ? '' : `: \`${coordinator}\``}. It checks: \`billet status\` shows it${ca === null ? '' : `, with the CA fingerprint \`${ca}\``}.`,
  `- The machine is known before it is switched on, by its MAC address, UUID, serial or asset tag (on its label or in its BMC):`,
  '',
  '  ```',
  `  billet node show ${node ?? 'NAME'}`,
  '  ```',
  '',
  '  It says by what the machine is recognised. A machine that nobody registered shows a code on its console and waits: `billet claim approve CODE --node NAME`.',
  ...(flow.name === 'iso-install'
    ? [
        '- The class of the node has an install plan that means exactly one disk of this machine, by its name under `/dev/disk/by-id/`, serial, WWN, model or size. If not, the machine lists its disks, with the reason for each, and waits.',
      ]
    : []),
  '- A screen or a serial cable (null modem, or USB to RJ45 for the console port), and a second machine that records it.',
  '',
];

const medium = ({ flow, image, parameters }: HandoffParts) => [
  '## 2. The medium',
  '',
  ...(flow.name === 'netboot'
    ? ['No medium: the machine boots from its network card, by the DHCP server of its segment.', '']
    : [
        image === null
          ? 'The ISO image was not named to the preflight; run it again with `--iso`, so that its digest stands here.'
          : `\`${basename(image.path)}\`, ${image.bytes} bytes. Compare its digest where you use it:`,
        '',
        ...(image === null
          ? []
          : [
              '```',
              `sha256sum ${basename(image.path)}`,
              `${image.digest.slice('sha256:'.length)}  ${basename(image.path)}`,
              '```',
              '',
            ]),
        '- **USB stick** (all of it is overwritten; look twice at the device name):',
        '',
        '  ```',
        '  lsblk -o NAME,SIZE,MODEL,TRAN',
        `  dd if=${image === null ? 'billet.iso' : basename(image.path)} of=/dev/sdX bs=4M conv=fsync status=progress`,
        '  ```',
        '',
        '- **Virtual media of a BMC**: attach the same file as a CD/DVD image, over HTTP(S) or from the browser.',
        '',
      ]),
  'Kernel parameters, exactly (they are in `kernel-parameters`, too; the image may have them baked in):',
  '',
  '```',
  parameters.join(' '),
  '```',
  '',
];

const machine = ({ flow }: HandoffParts) => [
  '## 3. The machine',
  '',
  '- Plug: power, the network card whose MAC address is registered (link light on), the BMC’s network, the serial cable.',
  '- Firmware: **UEFI mode**, no legacy or CSM. Secure Boot as your image is: on with your certificate enrolled, else off.',
  '- Firmware: the clock within a day of UTC. TPM on, if the install profile encrypts.',
  '- Firmware or BMC: serial console redirection on COM1, 115200 baud, 8N1, no flow control, **and after POST, too**; terminal type VT-UTF8 or VT100+.',
  '- BMC: serial over LAN on, the same 115200 baud; watchdogs off for this attempt.',
  flow.name === 'netboot'
    ? '- Boot: once from the network card (PXE or HTTP, IPv4). Leave the boot order as it is.'
    : flow.name === 'disk'
      ? '- Boot: from the disk, with no medium attached.'
      : '- Boot: **once** from the medium (one-time boot menu: often F11, F12 or Esc). Leave the boot order as it is: the installation puts its own entry first.',
  '',
];

const capturing = ({ flow, console, baud }: HandoffParts) => [
  '## 4. Recording, then power on',
  '',
  'Start the recording **before** the power. On the machine at the other end of the cable:',
  '',
  '```',
  `billet hardware-smoke capture --console ${console ?? '/dev/ttyUSB0'} --baud ${baud} --flow ${flow.name}`,
  '```',
  '',
  'With a BMC instead of a cable, the console can come over the network:',
  '',
  '```',
  `ipmitool -I lanplus -H BMC -U USER -f password-file sol activate | billet hardware-smoke capture --console - --flow ${flow.name}`,
  '```',
  '',
  'Without Billet at hand, record the bytes and judge them later:',
  '',
  '```',
  `stty -F /dev/ttyUSB0 raw ${baud} -echo && cat /dev/ttyUSB0 | tee console.log`,
  `billet hardware-smoke capture --console console.log --no-follow --flow ${flow.name}`,
  '```',
  '',
  'Without any console: film the screen, and send that.',
  '',
];

const watching = ({ flow }: HandoffParts) => [
  '## 5. What to watch',
  '',
  'Each line begins with `BILLET_MARKER`. Stages that depend on the same one come in any order.',
  ...flow.boots.flatMap((boot, i) => [
    '',
    `### Boot ${i + 1}: ${boot.title}`,
    '',
    '| marker | | what it says |',
    '| --- | --- | --- |',
    ...boot.stages.map(({ stage, optional, repeated }) => {
      const often = [optional ? 'may be missing' : '', repeated ? 'may repeat' : ''];
      return `| \`${stage}\` | ${often.filter((text) => text !== '').join(', ')} | ${MARKERS[stage]} |`;
    }),
  ]),
  '',
  ...(flow.boots.length > 1
    ? [
        'Between the boots the machine restarts by itself. **Take the medium out after `installed`**, or leave it: a machine that boots from it again finds the installation done and does not repeat it.',
        '',
      ]
    : []),
  'The end is `BILLET_MARKER ready`. Then `billet instance show NAME` says `running`.',
  '',
];

const wrong = () => [
  '## 6. If it goes wrong',
  '',
  '- A line with `BILLET_FAILURE` has a `code` and a `hint`: do what the hint says. `failure-markers` lists all codes. The machine tries again by itself; nothing has to be reset.',
  '- `BILLET_MARKER claim code=…`: it waits for `billet claim approve CODE --node NAME`.',
  '- Nothing at all on the console: the redirection (step 3), the cable, the baud rate; then whether the screen shows the boot menu.',
  '- Firmware text, and then nothing: the boot was refused or fell through. The lines to look for are at the end of `failure-markers`.',
  '- Power may be cut at any moment: the next boot goes on where this one was.',
  '',
];

const sending = () => [
  '## 7. What to send back',
  '',
  'This folder whole, with `console.log` and `result.json` in it (or the film), and by hand in `notes.md`:',
  '',
  '- machine: maker, model, firmware and BMC version; disks and network cards;',
  '- how the medium was attached, and what was set in firmware and BMC;',
  '- whatever differed from this page.',
  '',
  'No file here holds a secret, and none has to be added.',
  '',
];
