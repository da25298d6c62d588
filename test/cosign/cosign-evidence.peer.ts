// Signatures without keys, the less common evidence: in-toto statements instead of plain signatures,
// timestamps of an authority (OpenSSL's) instead of the log's time, and a log that holds a signature
// under somebody else's name. cosign and Billet judge alike, where the test does not say otherwise.

import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { flip, passed, refused } from './cosign-fixture.ts';
import {
  type BundleFile,
  entryOf,
  type Keyless,
  PERSON,
  type RootFile,
  startKeyless,
} from './cosign-keyless-fixture.ts';
import { ISSUER } from './sigstore-fixture.ts';
import type { LogEntry } from './sigstore-rekor.ts';
import { startTimestampAuthority, type TimestampAuthority } from './sigstore-tsa.ts';

const RELEASE = 'https://sigstore.dev/cosign/sign/v1';
const PROVENANCE = 'https://slsa.dev/provenance/v1';

interface Stamped extends BundleFile {
  verificationMaterial: BundleFile['verificationMaterial'] & {
    timestampVerificationData?: { rfc3161Timestamps: [{ signedTimestamp: string }] };
  };
}
interface Statement extends BundleFile {
  dsseEnvelope: { payload: string; signatures: [{ sig: string }] };
}
interface StampedRoot extends RootFile {
  timestampAuthorities?: unknown[];
}

let keyless: Keyless;
const authorities: TimestampAuthority[] = [];

before(async () => {
  keyless = await startKeyless();
});
after(async () => {
  for (const each of authorities) await each.close();
  await keyless?.close();
});

async function stated(predicateType: string): Promise<string> {
  const { tools, ours, artifact } = keyless;
  const bundle = join(tools.dir, `${predicateType.split('/').at(-2)}.json`);
  const what = ['--predicate', await tools.file('predicate', '{}'), '--type', predicateType];
  ours.use();
  const how = ['--new-bundle-format', '--bundle', bundle, ...what];
  passed(await tools.cosign('attest-blob', ...(await ours.signAs(PERSON)), ...how, artifact));
  return bundle;
}

test('a statement of release counts, for its subject and signer only', async () => {
  const { both, changed, tools } = keyless;
  const bundle = await stated(RELEASE);
  await both({ bundle }, true);
  await both({ bundle, identity: 'other@example.org' }, false);
  await both({ bundle, artifact: await tools.file('other', 'x') }, false, /something else/);
  const other = JSON.parse(await readFile(await stated(PROVENANCE), 'utf8')) as Statement;
  for (const change of [
    (file: Statement) => {
      file.dsseEnvelope.payload = other.dsseEnvelope.payload;
    },
    (file: Statement) => {
      file.dsseEnvelope.signatures[0].sig = flip(file.dsseEnvelope.signatures[0].sig);
    },
    (file: Statement) => {
      file.verificationMaterial = other.verificationMaterial;
    },
  ])
    await both({ bundle: await changed<Statement>(bundle, change) }, false);
});

test('an attestation about an artifact is no release of it; cosign leaves that to its caller', async () => {
  const { tools, ours, artifact } = keyless;
  const bundle = await stated(PROVENANCE);
  const root = ['--trusted-root', ours.trustedRoot];
  const who = ['--certificate-identity', PERSON, '--certificate-oidc-issuer', ISSUER];
  const argv = ['verify-blob', '--bundle', bundle, ...root, ...who];
  passed(await tools.cosign(...argv, '--new-bundle-format', artifact));
  const ran = await tools.billet(...argv, artifact);
  refused(ran);
  assert.match(ran.stderr, /which releases nothing/);
});

test('a signature that the log holds for somebody else is refused', async () => {
  const { ours, both, changed, signed } = keyless;
  const bundle = await signed(PERSON);
  const other = JSON.parse(await readFile(await signed('other@example.org'), 'utf8')) as BundleFile;
  const logged = (file: BundleFile) =>
    JSON.parse(Buffer.from(entryOf(file).canonicalizedBody, 'base64').toString());
  const forge = (as: BundleFile | null) => (file: BundleFile) => {
    const body = logged(file);
    if (as !== null) body.spec.signature.publicKey = logged(as).spec.signature.publicKey;
    const { uuid, reply } = ours.rekor.append(Buffer.from(JSON.stringify(body)));
    const entry = reply[uuid];
    assert.ok(entry);
    Object.assign(entryOf(file), inBundle(entry));
  };
  await both({ bundle: await changed(bundle, forge(null)) }, true);
  await both({ bundle: await changed(bundle, forge(other)) }, false, /for somebody else/);
});

test("a timestamp stands in for the log's time, and is checked where there is one", async () => {
  const { both, changed, signed, ours } = keyless;
  const [tsa, stranger] = [await authority('tsa'), await authority('other-tsa')];
  const stamped = await signed(PERSON, ours, '--timestamp-server-url', tsa.url);
  await both({ bundle: stamped }, true);
  const root = await rootWith(tsa);
  // cosign has to be told that other times than the log's are good enough.
  const flags = ['--use-signed-timestamps'];
  await both({ bundle: stamped, root, flags }, true);
  const timeless = await changed<Stamped>(stamped, (file) => {
    delete entryOf(file).inclusionPromise;
  });
  // As logs without a clock of their own (Rekor's second version) have it; cosign 2.5 does not yet.
  const who = ['--certificate-identity', PERSON, '--certificate-oidc-issuer', ISSUER];
  const argv = ['verify-blob', '--bundle', timeless, '--trusted-root', root, ...who];
  passed(await keyless.tools.billet(...argv, keyless.artifact));
  await both({ bundle: timeless, flags }, false);
  await both({ bundle: timeless, root: await rootWith(stranger), flags }, false);
  const unlogged = await changed<Stamped>(stamped, (file) => {
    delete file.verificationMaterial.tlogEntries;
  });
  await both({ bundle: unlogged, root, flags }, false, /expected 1 tlog entries, got 0/);
  const another = JSON.parse(
    await readFile(await signed(PERSON, ours, '--timestamp-server-url', tsa.url), 'utf8'),
  ) as Stamped;
  const moved = await changed<Stamped>(timeless, ({ verificationMaterial }) => {
    const { timestampVerificationData } = another.verificationMaterial;
    if (timestampVerificationData !== undefined)
      verificationMaterial.timestampVerificationData = timestampVerificationData;
  });
  await both({ bundle: moved, root, flags }, false);
});

async function authority(name: string): Promise<TimestampAuthority> {
  const dir = join(keyless.tools.dir, name);
  await mkdir(dir);
  const started = await startTimestampAuthority(dir);
  authorities.push(started);
  return started;
}

/** Our trusted root, and that timestamp authority as cosign's tool writes it. */
async function rootWith({ chain }: TimestampAuthority): Promise<string> {
  const { tools, ours, changed } = keyless;
  const file = join(tools.dir, 'tsa-root.json');
  const from = ['--timestamp-certificate-chain', chain, '--out', file];
  passed(await tools.cosign('trusted-root', 'create', ...from));
  const { timestampAuthorities } = JSON.parse(await readFile(file, 'utf8')) as StampedRoot;
  return await changed<StampedRoot>(ours.trustedRoot, (root) => {
    Object.assign(root, { timestampAuthorities });
  });
}

/** A reply of Rekor's as it stands in a bundle. */
function inBundle({ body, integratedTime, logIndex, verification }: LogEntry): object {
  const { inclusionProof, signedEntryTimestamp } = verification;
  const base64 = (hex: string) => Buffer.from(hex, 'hex').toString('base64');
  return {
    canonicalizedBody: body,
    integratedTime: String(integratedTime),
    logIndex: String(logIndex),
    inclusionPromise: { signedEntryTimestamp },
    inclusionProof: {
      logIndex: String(inclusionProof.logIndex),
      treeSize: String(inclusionProof.treeSize),
      rootHash: base64(inclusionProof.rootHash),
      hashes: inclusionProof.hashes.map(base64),
      checkpoint: { envelope: inclusionProof.checkpoint },
    },
  };
}
