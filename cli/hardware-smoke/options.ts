// The flags of `billet hardware-smoke`, each with its default and its help. Data for commander; reads
// nothing.

import type { Command } from 'commander';
import { FLOW_NAMES } from './flows.ts';

export const CAPTURE_EXIT_CODES =
  '\nExit code 0: passed. 1: failed. 5: timeout. 6: blocked, there was nothing to\nwatch. 130: interrupted. result.json says the same, and why.';

/** What is tried, and by which way. */
export const withTarget = (command: Command): Command =>
  command
    .option('--transport <name>', 'auto, qemu, redfish, ipmi or manual', 'auto')
    .option('--iso <file>', 'the image that the machine boots from')
    .option('--coordinator <url>', 'of the machine, where the image has none baked in')
    .option('--ca <digest>', "fingerprint of the coordinator's CA")
    .option('--node <name>', 'the node that the machine is registered as')
    .option('--parameter <word>', 'another kernel parameter; repeatable', collected);

/** What is watched, and for how long. */
export const withConsole = (command: Command): Command =>
  command
    .option('--console <file>', 'a serial device, a file that grows, or - for standard input')
    .option('--baud <n>', 'of a serial device', '115200')
    .option('--flow <name>', `what to expect: ${FLOW_NAMES.join(', ')}`)
    .option('--timeout <seconds>', 'for all of it (default: that of the flow)')
    .option('--grace <seconds>', 'how long a failure that no retry mends may stand', '60')
    .option('--work <dir>', 'where evidence goes: DIR/hardware-smoke/', 'work')
    .option('--json', 'print JSON for programs, an object a line');

/** The machine that QEMU makes. */
export const withMachine = (command: Command): Command =>
  command
    .option('--memory <mib>', 'QEMU: memory of the machine', '2048')
    .option('--cpus <n>', 'QEMU: processors', '2')
    .option('--disk-size <mib>', 'QEMU: size of its blank disk', '8192')
    .option('--disk-serial <text>', 'QEMU: serial of its disk', 'billet-smoke')
    .option('--mac <address>', 'QEMU: of its network card', '52:54:00:b1:11:e7')
    .option('--uuid <uuid>', 'QEMU: of its SMBIOS', '6f1d8c5e-6f0b-4b0e-9d5b-b1113fb1113f')
    .option('--firmware <name>', 'QEMU: uefi or bios', 'uefi')
    .option('--accelerator <name>', 'QEMU: kvm or tcg', 'tcg');

/** The BMC of a real one. */
export const withBmc = (command: Command): Command =>
  command
    .option('--bmc <url>', 'of a BMC: https://HOST (Redfish) or ipmi://HOST[:PORT]')
    .option('--bmc-user <name>', 'who logs in there')
    .option('--bmc-password <file>', 'a file of mode 0600 with the password in its first line')
    .option('--bmc-fingerprint <digest>', "SHA-256 of the BMC's own certificate, as sha256:…")
    .option('--bmc-ca <file>', 'or the CA that it comes from, in PEM')
    .option('--system <id>', 'which system of the BMC, where it has several')
    .option('--force-off', 'cut a machine off that runs: what it does ends at once')
    .option('--media-url <url>', 'where the BMC fetches the image')
    .option('--media-listen <host:port>', 'or serve --iso to it from here, over HTTP');

const collected = (word: string, before: readonly string[] = []) => [...before, word];
