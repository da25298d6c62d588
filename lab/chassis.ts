// A bare-metal machine of the lab: UEFI firmware with a variable store of its own, blank disks with
// serials, a TPM. It keeps all of that between power cuts, as a server in a rack does.

import { copyFile, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { QemuDisk, QemuFirmware, QemuSpec } from '#shared/qemu/arguments.ts';
import { startTpm } from '#shared/qemu/drivers/swtpm.ts';
import { labCpus, type PoweredMachine, powerOn } from './power.ts';
import { SHELL_WORD } from './shell.ts';

/** Debian's OVMF with 4 MiB of flash (package ovmf). */
const OVMF = '/usr/share/OVMF';

/** For the image build: console of the lab, and the shell that tests look with. */
export const CHASSIS_WORDS = `console=ttyS0 quiet panic=10 ${SHELL_WORD} systemd.show_status=false`;

export interface ChassisSpec {
  readonly name: string;
  readonly uuid: string;
  readonly mac: string;
  /** Sizes in bytes by serial, at most 20 characters each. */
  readonly disks: Readonly<Record<string, number>>;
  readonly tpm?: boolean;
  /** A variable store with enrolled keys; its firmware then enforces Secure Boot. */
  readonly secureBootVars?: string;
  readonly memoryMib?: number;
}

export interface PowerOptions {
  /** What is put in before it is switched on. */
  readonly medium?: { readonly cdrom: string } | { readonly usbStick: string };
  readonly forward?: QemuSpec['forward'];
  /** blkdebug configurations by serial of the disk. */
  readonly faults?: Readonly<Record<string, string>>;
  readonly fwCfg?: QemuSpec['fwCfg'];
}

export interface Chassis {
  readonly spec: ChassisSpec;
  /** The image of a disk, by its serial. */
  disk(serial: string): string;
  powerOn(options?: PowerOptions): Promise<PoweredMachine>;
}

/** Disks are sparse files. Everything lies in `dir`. */
export async function buildChassis(
  spec: ChassisSpec,
  dir: string,
  signal: AbortSignal,
): Promise<Chassis> {
  await mkdir(dir, { recursive: true });
  const vars = join(dir, 'vars.fd');
  await copyFile(spec.secureBootVars ?? join(OVMF, 'OVMF_VARS_4M.fd'), vars);
  const diskPath = (serial: string) => join(dir, `${serial}.raw`);
  for (const [serial, bytes] of Object.entries(spec.disks)) {
    await using file = await open(diskPath(serial), 'wx');
    await file.truncate(bytes);
  }
  const firmware: QemuFirmware =
    spec.secureBootVars === undefined
      ? { code: join(OVMF, 'OVMF_CODE_4M.fd'), vars }
      : { code: join(OVMF, 'OVMF_CODE_4M.secboot.fd'), vars, secureBoot: true };
  let boots = 0;

  return {
    spec,
    disk: diskPath,
    async powerOn({ medium, forward, faults = {}, fwCfg } = {}) {
      boots += 1;
      const tpm = spec.tpm ? await startTpm(join(dir, 'tpm'), signal) : null;
      const disks = Object.keys(spec.disks).map((serial): QemuDisk => {
        const fault = faults[serial];
        const disk = { path: diskPath(serial), format: 'raw', serial } as const;
        return fault === undefined ? disk : { ...disk, faults: fault };
      });
      const { name, uuid, mac, memoryMib = 2048 } = spec;
      try {
        const powered = await powerOn(
          {
            ...{ name, uuid, mac, memoryMib, disks, firmware },
            ...{ accelerator: 'tcg', cpus: labCpus(), secondSerial: true },
            ...medium,
            ...(forward && { forward }),
            ...(fwCfg && { fwCfg }),
            ...(tpm && { tpmSocket: tpm.socket }),
          },
          join(dir, `console-${boots}.log`),
          signal,
        );
        return {
          ...powered,
          async [Symbol.asyncDispose]() {
            await powered[Symbol.asyncDispose]();
            await tpm?.[Symbol.asyncDispose]();
          },
        };
      } catch (error) {
        await tpm?.[Symbol.asyncDispose]();
        throw error;
      }
    },
  };
}
