// Step loader: systemd-boot on the ESP, where firmware finds it with its entry and without one.

import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { verifiedBoot, writeBootFile, writeText } from '../boot-files.ts';
import { layoutNow, mounted, type Step } from '../step.ts';

/** Of the ESP. The second is what firmware tries on a disk that it has no entry for (UEFI 2.10 §3.5.1.1). */
export const LOADER_PATHS = {
  own: 'EFI/systemd/systemd-bootx64.efi',
  fallback: 'EFI/BOOT/BOOTX64.EFI',
} as const;

/** loader.conf(5). No editor: whoever stands at the console adds no words to the kernel's command line. */
const LOADER_CONF = 'timeout 0\neditor no\nauto-entries no\n';

export const loader: Step = async (context, signal) => {
  const { ports, request } = context;
  const { esp } = await layoutNow(context);
  const { loader: file, source } = await verifiedBoot(request, signal);
  await mounted(ports, { device: esp, type: ports.espType }, async (dir) => {
    for (const [index, path] of Object.values(LOADER_PATHS).entries()) {
      const to = join(dir, path);
      await mkdir(dirname(to), { recursive: true });
      const share = (done: number) => context.onProgress((index + done) / 2);
      await writeBootFile(to, { file, source }, share, signal);
    }
    await mkdir(join(dir, 'loader'), { recursive: true });
    await writeText(join(dir, 'loader/loader.conf'), LOADER_CONF);
  });
};
