// The names of a disk under /dev/disk/by-id/, as udev would make them: the initramfs has no udev. From
// attributes only; reads nothing. Source: systemd 257, rules.d/60-persistent-storage.rules, with what
// ata_id, scsi_id and usb_id put into it.

import { ataIdentity, scsiIdentity } from './disk-pages.ts';

export interface DiskAttributes {
  /** Of the kernel: vda, nvme0n1, sda. */
  readonly name: string;
  readonly serial?: string | undefined;
  /** Of NVMe: eui.…, uuid.…, nvme.… */
  readonly wwid?: string | undefined;
  readonly model?: string | undefined;
  readonly vendor?: string | undefined;
  readonly nsid?: string | undefined;
  /** Vital product data pages of a SCSI device (SPC-5 §7.7; SAT-4 §12.4 for 0x89), as in sysfs. */
  readonly page80?: Buffer | undefined;
  readonly page83?: Buffer | undefined;
  readonly page89?: Buffer | undefined;
  readonly usb?: { readonly serial: string; readonly instance: string } | undefined;
}

export interface DiskNames {
  readonly byId: readonly string[];
  /** What tells more than sysfs' own files do: the whole serial and model of an ATA disk. */
  readonly serial?: string | undefined;
  readonly model?: string | undefined;
}

export function diskNames(disk: DiskAttributes): DiskNames {
  if (disk.name.startsWith('vd')) return { byId: linked('virtio', disk.serial) };
  if (disk.name.startsWith('nvme')) return { byId: nvmeNames(disk) };
  if (!disk.name.startsWith('sd')) return { byId: [] };
  if (disk.usb !== undefined) return usbNames(disk, disk.usb);
  return disk.vendor === 'ATA' ? ataNames(disk) : scsiNames(disk);
}

function nvmeNames({ wwid, model, serial, nsid }: DiskAttributes): string[] {
  const both = model && serial ? `${model}_${serial}` : undefined;
  return [
    ...linked('nvme', wwid),
    ...(nsid === '1' ? linked('nvme', both) : []),
    ...(nsid ? linked('nvme', both && `${both}_${nsid}`) : []),
  ];
}

function ataNames(disk: DiskAttributes): DiskNames {
  const found = disk.page89 === undefined ? null : ataIdentity(disk.page89);
  const serial = found?.serial ?? pageText(disk.page80);
  const model = found?.model ?? disk.model;
  // INQUIRY has 16 characters of the model: with all of them used, there may be more.
  const whole = found !== null || (disk.model ?? '').length < 16;
  const name = [model, serial].filter(Boolean).join('_');
  const wwn = found?.wwn ?? scsiIdentity(disk.page83)?.wwn;
  const byId = [...(whole ? linked('ata', name) : []), ...linked('wwn', wwn && `0x${wwn}`)];
  return { byId, serial, ...(whole ? { model } : {}) };
}

function scsiNames({ vendor = '', model = '', page80, page83 }: DiskAttributes): DiskNames {
  const found = scsiIdentity(page83);
  const serial = pageText(page80);
  const padded = `${vendor.padEnd(8)}${model.padEnd(16)}`;
  const id =
    found !== null
      ? `${found.kind}${found.kind === '0' ? padded : ''}${found.id}`
      : serial && `S${padded}${serial}`;
  const byId = [...linked('scsi', id), ...linked('wwn', found?.wwn && `0x${found.wwn}`)];
  return { byId, serial };
}

function usbNames(
  { vendor = '', model = '' }: DiskAttributes,
  { serial, instance }: { readonly serial: string; readonly instance: string },
): DiskNames {
  const parts = [vendor, model, serial].map((part) => part.trim()).filter(Boolean);
  return { byId: linked('usb', `${parts.join('_')}-${instance}`), serial: serial || undefined };
}

/** SPC-5 §7.7.19: a header of four bytes, the length in the last two. */
function pageText(page: Buffer | undefined): string | undefined {
  if (page === undefined || page.length < 4) return undefined;
  const text = page.toString('latin1', 4, 4 + page.readUInt16BE(2));
  return text.replaceAll('\0', ' ').trim() || undefined;
}

/** White space becomes one underscore, what udev allows in no name becomes one each. */
function linked(bus: string, value: string | undefined): string[] {
  const name = value?.trim().replace(/\s+/g, '_');
  return name ? [`${bus}-${name.replace(/[^A-Za-z0-9#+.:=@_-]/g, '_')}`] : [];
}
