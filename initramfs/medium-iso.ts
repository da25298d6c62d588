// One ISO image for every way that a machine boots from a medium: as a CD or a disk (isohybrid), by BIOS
// and by UEFI. The same files give the same bytes.
//
//   MBR and GPT | ISO 9660: GRUB for BIOS (El Torito), kernel, initramfs | ESP (FAT): the UKI
//
// UEFI starts the UKI itself, with no loader between: under Secure Boot one signature covers everything.

import { copyFile, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '#shared/digest.ts';
import { SOURCE_DATE_EPOCH } from '../setup/build/epoch.ts';
import { type MediumTools, WORK } from './medium-tools.ts';

export interface IsoParts {
  readonly kernel: string;
  readonly initramfs: string;
  readonly uki: string;
  readonly commandLine: string;
  /** In the boot menu. */
  readonly title: string;
  /** 16 hexadecimal digits by which GRUB tells this medium from others in the machine. */
  readonly key: string;
}

const GRUB_DIR = '/usr/lib/grub/i386-pc';
const GRUB_MODULES = [
  ...['biosdisk', 'echo', 'halt', 'iso9660', 'linux', 'ls', 'normal', 'reboot'],
  ...['search_fs_file', 'serial', 'terminal'],
];
/** UEFI, "File System Format": FAT, whatever its width; Debian's own media have FAT16 or FAT32 by size. */
const FAT_VOLUME_ID = '42494c54';
const MIB = 1024 * 1024;
const ESP_TYPE = 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B';

/** Writes `out`, beside `dir`: an empty directory for what is made on the way, gone afterwards. */
export async function writeIso(
  tools: MediumTools,
  parts: IsoParts,
  dir: string,
  out: string,
): Promise<void> {
  await mkdir(join(dir, 'iso/boot/grub'), { recursive: true });
  await copyFile(parts.kernel, join(dir, 'iso/boot/kernel'));
  await copyFile(parts.initramfs, join(dir, 'iso/boot/initramfs'));
  await writeFile(join(dir, `iso/boot/${parts.key}`), '');
  await writeFile(join(dir, 'iso/boot/grub/grub.cfg'), grubMenu(parts));
  await writeGrub(tools, parts.key, dir);
  await writeEsp(tools, parts.uki, dir);
  await writeImage(tools, parts.key, dir);
  await rename(join(dir, 'billet.iso'), out);
  await rm(dir, { recursive: true });
}

async function writeGrub(tools: MediumTools, key: string, dir: string): Promise<void> {
  const first = `search --no-floppy --file --set=root /boot/${key}\nset prefix=($root)/boot/grub\n`;
  await writeFile(join(dir, 'first.cfg'), first);
  const image = ['-O', 'i386-pc-eltorito', '-d', GRUB_DIR, '-p', '/boot/grub'];
  const files = ['-c', `${WORK}/first.cfg`, '-o', `${WORK}/iso/boot/grub/eltorito.img`];
  await tools.run(['grub-mkimage', ...image, ...files, ...GRUB_MODULES], dir);
}

/** Words are quoted, so that GRUB takes none for its own syntax. */
const grubMenu = ({ commandLine, title }: IsoParts) => `if serial --unit=0 --speed=115200; then
  terminal_input console serial
  terminal_output console serial
fi
set timeout=2
menuentry '${title}' {
  linux /boot/kernel ${commandLine
    .split(' ')
    .filter(Boolean)
    .map((word) => `'${word}'`)
    .join(' ')}
  initrd /boot/initramfs
}
`;

async function writeEsp(tools: MediumTools, uki: string, dir: string): Promise<void> {
  await copyFile(uki, join(dir, 'BOOTX64.EFI'));
  // The file, both tables of a FAT32 and its directories, with room to spare.
  const sizeMib = Math.ceil((await stat(uki)).size / MIB) + 4;
  const esp = `${WORK}/esp.img`;
  const format = ['-i', FAT_VOLUME_ID, '-n', 'BILLET', '--invariant', '-s', '8'];
  await tools.run(['mkfs.vfat', '-C', ...format, esp, String(sizeMib * 1024)], dir);
  await tools.run(['mmd', '-i', esp, '::/EFI', '::/EFI/BOOT'], dir);
  await tools.run(['mcopy', '-i', esp, `${WORK}/BOOTX64.EFI`, '::/EFI/BOOT/BOOTX64.EFI'], dir);
}

/** xorrisofs(1): `--grub2-mbr` makes it a disk for BIOS, the appended partition one for UEFI. */
async function writeImage(tools: MediumTools, key: string, dir: string): Promise<void> {
  const bios = ['-b', 'boot/grub/eltorito.img', '-no-emul-boot', '-boot-load-size', '4'];
  const hybrid = ['--grub2-mbr', `${GRUB_DIR}/boot_hybrid.img`, '-partition_offset', '16'];
  const disk = ['--mbr-force-bootable', '--gpt_disk_guid', guidOf(key)];
  const esp = ['-append_partition', '2', ESP_TYPE, `${WORK}/esp.img`, '-appended_part_as_gpt'];
  await tools.run(
    [
      ...(['xorriso', '-as', 'mkisofs', '-quiet', '-o', `${WORK}/billet.iso`] as const),
      ...['-V', 'BILLET', '-R', '-uid', '0', '-gid', '0'],
      ...['--set_all_file_dates', `=${SOURCE_DATE_EPOCH}`],
      ...[...hybrid, ...disk, ...esp],
      ...[...bios, '-boot-info-table', '--grub2-boot-info', '-eltorito-alt-boot'],
      ...['-e', '--interval:appended_partition_2:all::', '-no-emul-boot'],
      `${WORK}/iso`,
    ],
    dir,
  );
}

/** Two media in one machine have different ones (RFC 9562, version 8: its bits are the writer's). */
function guidOf(key: string): string {
  const hex = sha256(key).slice('sha256:'.length);
  const [a, b, c, d, e] = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(13, 16),
    hex.slice(17, 20),
    hex.slice(20, 32),
  ];
  return `${a}-${b}-8${c}-8${d}-${e}`;
}
