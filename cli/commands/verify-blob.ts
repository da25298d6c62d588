// `billet verify-blob`: is an artifact, any one, signed by a key or for an identity? Needs no
// coordinator and no network; changes nothing.

import { open } from 'node:fs/promises';
import { Command } from 'commander';
import { type BlobSigner, verifyBlob } from '#shared/artifact/signature/blob.ts';
import { BUNDLE_LIMIT_BYTES } from '#shared/artifact/signature/bundle-content.ts';
import { readPublicKey } from '#shared/artifact/signature/keys.ts';
import { contentOfDigest, contentOfFile } from '#shared/artifact/signature/prehashed.ts';
import { readTrustedRoot } from '#shared/artifact/signature/trusted-root.ts';
import { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { TrustedRoot } from '#shared/schema/trusted-root.ts';
import type { CommandIo } from '../command-io.ts';
import { emit, listing } from '../output.ts';
import { parseArgument, withExamples } from '../remote.ts';
import { readJson, readText } from './module/files.ts';

interface Options {
  readonly bundle: string;
  readonly key?: string;
  readonly trustedRoot?: string;
  readonly certificateIdentity?: string;
  readonly certificateOidcIssuer?: string;
  readonly json?: boolean;
}

const ABOUT = `
The bundle is sigstore's (version 0.1 to 0.3), or the older one of cosign's
sign-blob. With --key, the key has to have signed. Without it, the certificate
has to be one of the trusted root's authority, valid when the root's log says
that it signed, and issued to exactly this identity by exactly this issuer.

Exit code 0: signed so. 4: not. 2: the command line or a file is wrong.`;

export function verifyBlobCommand(io: CommandIo): Command {
  const command = new Command('verify-blob')
    .description('Check the signature of any artifact, by its sigstore bundle.')
    .argument('<artifact>', 'a file, or its digest as sha256:…')
    .requiredOption('--bundle <file>', 'sigstore bundle')
    .option('--key <file>', 'public key in PEM, P-256 or Ed25519')
    .option('--trusted-root <file>', "or sigstore's trusted root (JSON), with")
    .option('--certificate-identity <id>', 'the email address or URI in the certificate, and')
    .option('--certificate-oidc-issuer <url>', 'the OpenID Connect issuer that vouched for it')
    .option('--json', 'print JSON for programs')
    .addHelpText('after', ABOUT)
    .action(async (artifact: string, options: Options) => {
      const signer = await signerOf(options);
      const bundle = await readBundle(options.bundle);
      const content = artifact.startsWith('sha256:')
        ? contentOfDigest(parseArgument(Digest, artifact, 'the artifact'))
        : await contentOfFile(artifact, io.signal);
      const { digest } = verifyBlob(bundle, content, signer);
      const keyId = 'key' in signer ? signer.key.id : null;
      const identity = 'key' in signer ? null : signer.identity;
      emit(io, options.json === true, { verified: true, digest, keyId, identity }, () =>
        listing(
          [
            ['artifact', digest],
            ['signed by', keyId ?? `${identity?.identity} of ${identity?.issuer}`],
          ],
          io.columns,
        ),
      );
    });
  return withExamples(
    command,
    'billet verify-blob --bundle web.tar.sigstore.json --key release.pub web.tar',
    'billet verify-blob --bundle web.tar.sigstore.json --trusted-root root.json \\',
    '    --certificate-identity release@example.org \\',
    '    --certificate-oidc-issuer https://login.example.org web.tar',
    'billet verify-blob --bundle web.tar.sigstore.json --key release.pub \\',
    '    sha256:$(sha256sum < web.tar | cut -c-64)',
  );
}

/** Throws ARGUMENT_INVALID unless the options name one signer, whole. */
async function signerOf(options: Options): Promise<BlobSigner> {
  const { key, trustedRoot, certificateIdentity, certificateOidcIssuer } = options;
  const keyless = [trustedRoot, certificateIdentity, certificateOidcIssuer];
  const given = keyless.filter((each) => each !== undefined).length;
  if ((key === undefined) === (given === 0) || (key === undefined && given < keyless.length))
    throw new BilletError('ARGUMENT_INVALID', 'it is not said who has to have signed', {
      hint: 'give either --key, or all of --trusted-root, --certificate-identity and --certificate-oidc-issuer',
    });
  if (key !== undefined) return { key: readPublicKey(await readText(key, 'the key')) };
  const root = parseArgument(
    TrustedRoot,
    await readJson(trustedRoot ?? '', 'the trusted root'),
    'the trusted root',
  );
  return {
    identity: { identity: certificateIdentity ?? '', issuer: certificateOidcIssuer ?? '' },
    material: readTrustedRoot(root),
  };
}

/** At most what a bundle may have, whatever the file is. Throws ARGUMENT_INVALID. */
async function readBundle(name: string): Promise<Uint8Array> {
  const buffer = Buffer.alloc(BUNDLE_LIMIT_BYTES + 1);
  let length = 0;
  try {
    await using file = await open(name);
    for (let read = -1; read !== 0 && length < buffer.length; length += read)
      ({ bytesRead: read } = await file.read(buffer, length));
  } catch (cause) {
    throw new BilletError('ARGUMENT_INVALID', `cannot read the bundle ${name}`, {
      hint: 'name a file that is there',
      cause,
    });
  }
  if (length <= BUNDLE_LIMIT_BYTES) return buffer.subarray(0, length);
  throw new BilletError('ARGUMENT_INVALID', `${name} is over ${BUNDLE_LIMIT_BYTES} bytes`, {
    hint: 'this is no sigstore bundle: name the file that `--bundle` of cosign sign-blob wrote',
  });
}
