// What goes wrong on a console beside the agent's own failures: the verdicts of a capture, and lines
// that firmware, boot loader and kernel print when there is nothing more to wait for. Data only.

export const CONSOLE_CODES = {
  MARKER_MISSING: {
    meaning: 'a stage came without one that has to come before it, or the console ended without it',
    hint: 'compare console.log with expected-markers; is the console complete, and the boot image of this release?',
  },
  MARKER_ORDER: {
    meaning: 'a stage came after one that comes behind it',
    hint: 'compare console.log with expected-markers; two machines on one console look like this',
  },
  FLOW_OTHER: {
    meaning: 'the machine is ready, but by another way than the one that was watched for',
    hint: 'watch with the flow that it takes: --flow disk for a machine that is installed already',
  },
  RESTARTED: {
    meaning: 'the machine started again before it had reached the end of its boot',
    hint: 'read console.log before the second boot-start: a panic, a watchdog, or somebody at the power button',
  },
  CONSOLE_ENDED: {
    meaning: 'the console ended before the machine was ready',
    hint: 'was the recording stopped early? capture again with the console held open',
  },
  KERNEL_PANIC: {
    meaning: 'the kernel gave up',
    hint: 'read the lines above it in console.log: missing drivers, too little memory, or broken hardware',
  },
  FIRMWARE_REFUSED: {
    meaning: 'the firmware refuses the boot image: Secure Boot knows no key of it',
    hint: 'enroll your certificate in the firmware, or sign the image with a key that is enrolled',
  },
  NO_BOOT_DEVICE: {
    meaning: 'the firmware found nothing to boot',
    hint: 'is the medium attached, and first for this boot? UEFI machines need the hybrid ISO as it is',
  },
  LOADER_FAILED: {
    meaning: 'the boot loader could not load the kernel',
    hint: 'write the medium again and compare its digest: it is damaged or cut short',
  },
  OUT_OF_MEMORY: {
    meaning: 'the kernel ended a program for want of memory',
    hint: 'give the machine 2 GiB or more',
  },
  DISK_ERROR: {
    meaning: 'a disk reports errors',
    hint: 'look at its health (smartctl -a) and at its cabling before you try again',
  },
} as const satisfies Record<string, { meaning: string; hint: string }>;
export type ConsoleCode = keyof typeof CONSOLE_CODES;

interface ConsolePattern {
  readonly code: ConsoleCode;
  readonly pattern: RegExp;
  /** As it stands in failure-markers. */
  readonly shown: string;
}

/** Lines that are no markers, as Linux, OVMF and other UEFI firmware, GRUB and SeaBIOS print them. */
export const CONSOLE_PATTERNS: readonly ConsolePattern[] = [
  {
    code: 'KERNEL_PANIC',
    pattern: /Kernel panic - not syncing/,
    shown: 'Kernel panic - not syncing: …',
  },
  {
    code: 'FIRMWARE_REFUSED',
    pattern: /BdsDxe: failed to (?:load|start) .*(?:Access Denied|Security Violation)/,
    shown: 'BdsDxe: failed to load Boot0001 …: Access Denied',
  },
  {
    code: 'FIRMWARE_REFUSED',
    pattern: /Secure Boot Violation|error: .*bad shim signature/i,
    shown: 'Secure Boot Violation',
  },
  {
    code: 'NO_BOOT_DEVICE',
    pattern: /No bootable (?:device|option or device)|No boot device|No Operating System found/i,
    shown: 'No bootable device.',
  },
  {
    code: 'LOADER_FAILED',
    pattern: /^\s*error: .*(?:file .* not found|invalid magic number|you need to load the kernel)/,
    shown: 'error: file `/billet/kernel’ not found.',
  },
  {
    code: 'OUT_OF_MEMORY',
    pattern: /Out of memory: Killed process|Kernel panic.*out of memory/,
    shown: 'Out of memory: Killed process …',
  },
  {
    code: 'DISK_ERROR',
    pattern: /(?:I\/O error|critical medium error), dev (?!loop|sr|fd)/,
    shown: 'I/O error, dev sda, sector …',
  },
];
