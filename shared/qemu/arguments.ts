// The command line of a QEMU machine (qemu-system-x86_64(1)). Pure. Secrets never stand on it: fw_cfg
// entries and SMBIOS strings are given by file.

import { BilletError } from '#shared/errors.ts';

export type Accelerator = 'kvm' | 'tcg';

export interface QemuDisk {
  /** Absolute path of an image. */
  readonly path: string;
  readonly format: 'raw' | 'qcow2';
  /** Seen by the guest as /dev/disk/by-id/virtio-<serial>; at most 20 characters. */
  readonly serial: string;
  /** A blkdebug(QEMU) configuration: which requests fail, and how. */
  readonly faults?: string;
  readonly readOnly?: boolean;
}

/** Another network card, and a cable to a UDP socket: each Ethernet frame is a datagram (netdev dgram). */
export interface QemuCable {
  readonly mac: string;
  /** Ports of the loopback: QEMU's, and of who is at the other end. */
  readonly port: number;
  readonly peerPort: number;
}

/** UEFI instead of SeaBIOS: OVMF's code, and a variable store of this machine's own, which it writes. */
export interface QemuFirmware {
  readonly code: string;
  readonly vars: string;
  /** The code enforces Secure Boot, and keeps its variables in system management mode. */
  readonly secureBoot?: boolean;
}

export interface QemuSpec {
  readonly name: string;
  readonly accelerator: Accelerator;
  readonly memoryMib: number;
  readonly cpus: number;
  readonly uuid: string;
  readonly mac: string;
  /** PCI model of the network card. */
  readonly nic?: 'virtio-net-pci' | 'e1000' | 'e1000e' | 'igb';
  readonly cables?: readonly QemuCable[];
  /** What its clock says as it is switched on: UTC, e.g. 2020-01-01T00:00:00. The host's without it. */
  readonly clock?: string;
  readonly disks?: readonly QemuDisk[];
  /** SeaBIOS without one. */
  readonly firmware?: QemuFirmware;
  /** An ISO image, in a SATA drive. */
  readonly cdrom?: string;
  /** The same bytes on a USB stick. */
  readonly usbStick?: string;
  /** UNIX socket of swtpm(8), as a TPM 2.0. */
  readonly tpmSocket?: string;
  /** Network boot: URL of an iPXE script, in the guest's view (the host is 10.0.2.2). */
  readonly bootUrl?: string;
  /** Direct kernel boot. */
  readonly direct?: {
    readonly kernel: string;
    readonly initramfs: string;
    readonly commandLine: string;
  };
  /** Ports of the guest reached on the host's loopback. */
  readonly forward?: readonly { readonly hostPort: number; readonly guestPort: number }[];
  /** fw_cfg items: name below opt/, file with the content. */
  readonly fwCfg?: readonly { readonly name: string; readonly path: string }[];
  /** Files with one SMBIOS type 11 string each. */
  readonly oemStringPaths?: readonly string[];
  /** A second serial line, ttyS1, for a shell. */
  readonly secondSerial?: boolean;
}

export interface QemuPaths {
  /** UNIX sockets, at most 107 bytes each (unix(7)). */
  readonly qmp: string;
  readonly serial: string;
  readonly second: string;
}

/** Of a machine that outlives who started it: its console is a file, and QEMU names its process. */
export interface DetachedPaths {
  /** UNIX socket, at most 107 bytes (unix(7)). */
  readonly qmp: string;
  readonly console: string;
  readonly pid: string;
}

/** Of a machine whose console its owner reads and writes, and that waits for it to do so. */
export const qemuArguments = (spec: QemuSpec, paths: QemuPaths): string[] =>
  machineArguments(spec, paths.qmp, [
    '-chardev',
    `socket,id=serial0,path=${option(paths.serial)},server=on,wait=on`,
    '-serial',
    'chardev:serial0',
    ...(spec.secondSerial
      ? [
          '-chardev',
          `socket,id=serial1,path=${option(paths.second)},server=on,wait=off`,
          '-serial',
          'chardev:serial1',
        ]
      : []),
  ]);

/**
 * Of a machine on its own. QEMU returns once it runs, or says why not, and locks the pid file and the
 * disks, so that there is never a second one of it.
 */
export const detachedArguments = (spec: QemuSpec, paths: DetachedPaths): string[] => [
  ...machineArguments(spec, paths.qmp, [
    '-chardev',
    `file,id=serial0,path=${option(paths.console)},append=on`,
    '-serial',
    'chardev:serial0',
  ]),
  '-pidfile',
  paths.pid,
  '-daemonize',
];

/** Throws ARGUMENT_INVALID for what QEMU's option syntax cannot carry. */
function machineArguments(spec: QemuSpec, qmp: string, consoles: readonly string[]): string[] {
  const { disks = [], cables = [], forward = [], fwCfg = [], oemStringPaths = [] } = spec;
  const network = [
    'user,id=net0',
    ...(spec.bootUrl ? [`bootfile=${option(spec.bootUrl)}`] : []),
    ...forward.map(({ hostPort, guestPort }) => `hostfwd=tcp:127.0.0.1:${hostPort}-:${guestPort}`),
  ].join(',');
  const acceleration =
    spec.accelerator === 'kvm'
      ? ['-accel', 'kvm', '-cpu', 'host']
      : ['-accel', 'tcg,thread=multi', '-cpu', 'max'];
  return [
    '-name',
    option(spec.name),
    '-machine',
    `q35,usb=${spec.usbStick === undefined ? 'off' : 'on'},vmport=off${spec.firmware?.secureBoot ? ',smm=on' : ''}`,
    ...acceleration,
    ...['-m', `${spec.memoryMib}M`, '-smp', String(spec.cpus), '-uuid', option(spec.uuid)],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-vga', 'none'],
    // Before the console: QEMU opens them in order, and waits at the console.
    '-chardev',
    `socket,id=qmp0,path=${option(qmp)},server=on,wait=off`,
    ...consoles,
    '-mon',
    'chardev=qmp0,mode=control',
    '-device',
    'virtio-rng-pci',
    '-netdev',
    network,
    '-device',
    `${spec.nic ?? 'virtio-net-pci'},netdev=net0,mac=${option(spec.mac)}${spec.bootUrl ? ',bootindex=1' : spec.firmware ? ',romfile=' : ''}`,
    ...cables.flatMap(cableArguments),
    ...(spec.clock === undefined ? [] : ['-rtc', `base=${option(spec.clock)}`]),
    ...disks.flatMap(diskArguments),
    ...firmwareArguments(spec.firmware),
    ...mediumArguments(spec),
    ...(spec.tpmSocket === undefined
      ? []
      : [
          '-chardev',
          `socket,id=tpm0,path=${option(spec.tpmSocket)}`,
          '-tpmdev',
          'emulator,id=tpmdev0,chardev=tpm0',
          '-device',
          'tpm-crb,tpmdev=tpmdev0',
        ]),
    ...(spec.direct
      ? [
          '-kernel',
          spec.direct.kernel,
          '-initrd',
          spec.direct.initramfs,
          '-append',
          spec.direct.commandLine,
        ]
      : []),
    ...fwCfg.flatMap(({ name, path }) => [
      '-fw_cfg',
      `name=opt/${option(name)},file=${option(path)}`,
    ]),
    ...(oemStringPaths.length === 0
      ? []
      : [
          '-smbios',
          ['type=11', ...oemStringPaths.map((path) => `path=${option(path)}`)].join(','),
        ]),
  ];
}

const cableArguments = ({ mac, port, peerPort }: QemuCable, i: number): string[] => [
  '-netdev',
  `dgram,id=cable${i},local.type=inet,local.host=127.0.0.1,local.port=${port},remote.type=inet,remote.host=127.0.0.1,remote.port=${peerPort}`,
  '-device',
  `virtio-net-pci,netdev=cable${i},mac=${option(mac)},romfile=`,
];

function diskArguments({ path, format, serial, faults, readOnly }: QemuDisk, i: number): string[] {
  const file = faults === undefined ? option(path) : `blkdebug:${option(faults)}:${option(path)}`;
  return [
    '-drive',
    `if=none,id=disk${i},file=${file},format=${format},cache=writeback,discard=unmap${readOnly ? ',readonly=on' : ''}`,
    '-device',
    `virtio-blk-pci,drive=disk${i},serial=${option(serial)}`,
  ];
}

const firmwareArguments = (firmware: QemuFirmware | undefined): string[] =>
  firmware === undefined
    ? []
    : [
        ...(firmware.secureBoot ? ['-global', 'driver=cfi.pflash01,property=secure,value=on'] : []),
        '-drive',
        `if=pflash,unit=0,format=raw,readonly=on,file=${option(firmware.code)}`,
        '-drive',
        `if=pflash,unit=1,format=raw,file=${option(firmware.vars)}`,
      ];

const mediumArguments = ({ cdrom, usbStick }: QemuSpec): string[] => [
  ...(cdrom === undefined
    ? []
    : [
        '-drive',
        `if=none,id=cdrom0,media=cdrom,readonly=on,format=raw,file=${option(cdrom)}`,
        '-device',
        'ide-cd,drive=cdrom0',
      ]),
  ...(usbStick === undefined
    ? []
    : [
        '-drive',
        `if=none,id=stick0,readonly=on,format=raw,file=${option(usbStick)}`,
        '-device',
        'usb-storage,drive=stick0,removable=on',
      ]),
];

/** QEMU splits options at commas, and `,,` is a comma. */
function option(text: string): string {
  if (/[\0\n]/.test(text))
    throw new BilletError(
      'ARGUMENT_INVALID',
      `QEMU takes no line breaks in ${JSON.stringify(text)}`,
      {
        hint: 'use a path without control characters',
      },
    );
  return text.replaceAll(',', ',,');
}
