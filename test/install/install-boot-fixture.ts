// A signed boot image in a layout, as a coordinator's registry has it: small files in the place of UKI
// and loader.

import type { TestContext } from 'node:test';
import {
  BOOT_MEDIA,
  bootImageOf,
  bootManifest,
  EMPTY_DESCRIPTOR,
  EMPTY_JSON,
} from '#shared/artifact/boot/manifest.ts';
import type { Layout } from '#shared/artifact/oci/layout.ts';
import { MEDIA } from '#shared/artifact/oci/media-types.ts';
import type { SigningKey } from '#shared/artifact/signature/keys.ts';
import { generateKeyPair, readSigningKey } from '#shared/artifact/signature/keys.ts';
import { writeSimpleSignature } from '#shared/artifact/signature/simple-signing.ts';
import { putBytes, temporaryLayout } from '#shared/artifact/signature/testing.ts';
import type { BootImage } from '#shared/schema/desired.ts';
import { ModuleName } from '#shared/schema/module.ts';
import { TrustPolicy } from '#shared/schema/trust-policy.ts';

export interface BootWorkshop {
  readonly layout: Layout;
  readonly policy: TrustPolicy;
  readonly image: BootImage;
  readonly uki: Buffer;
  readonly loader: Buffer;
  /** Another boot image, signed by a key that no policy names. */
  readonly foreign: BootImage;
}

const UKI_BYTES = 3 * 2 ** 20 + 17;

export async function bootWorkshop(test: TestContext): Promise<BootWorkshop> {
  const layout = await temporaryLayout(test);
  const [own, other] = [generateKeyPair('ed25519'), generateKeyPair('ed25519')];
  const uki = Buffer.alloc(UKI_BYTES, 'kernel, initramfs and command line');
  const loader = Buffer.from('systemd-boot');
  const put = (sequence: number, pem: string) =>
    putBoot(layout, { uki, loader, sequence, key: readSigningKey(pem) });
  return {
    ...{ layout, uki, loader },
    image: await put(1, own.privatePem),
    foreign: await put(2, other.privatePem),
    policy: TrustPolicy.parse({
      format: 1,
      rules: [{ modules: ['boot-*'], keys: [own.publicPem] }],
    }),
  };
}

interface BootFiles {
  readonly uki: Buffer;
  readonly loader: Buffer;
  readonly sequence: number;
  readonly key: SigningKey;
}

async function putBoot(layout: Layout, { uki, loader, sequence, key }: BootFiles) {
  await layout.putBlob(EMPTY_DESCRIPTOR, async function* () {
    yield EMPTY_JSON;
  });
  const content = {
    kernel: await putBytes(layout, BOOT_MEDIA.kernel, Buffer.from('kernel')),
    initramfs: await putBytes(layout, BOOT_MEDIA.initramfs, Buffer.from('initramfs')),
    uki: await putBytes(layout, BOOT_MEDIA.uki, uki),
    loader: await putBytes(layout, BOOT_MEDIA.loader, loader),
    ...{ kernelRelease: '6.12.1-test', commandLine: 'quiet' },
    release: { name: ModuleName.parse('boot-metal'), sequence, version: '1.0.0' },
  };
  const { digest } = await layout.putManifest(bootManifest(content), MEDIA.manifest);
  const manifest = await layout.manifest(digest);
  await writeSimpleSignature(layout, manifest, key, 'test/boot-metal');
  return bootImageOf(content, 'boot', digest);
}
