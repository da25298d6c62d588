// Signatures without keys: the real cosign signs against a small sigstore of the tests' own, and
// `billet verify-blob` says of every bundle, good or bad, what `cosign verify-blob` says of it. Both
// have no more than the trusted root file.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { flip, passed, refused } from './cosign-fixture.ts';
import {
  type BundleFile,
  entryOf,
  type Keyless,
  PERSON,
  type RootFile,
  startKeyless,
  WORKFLOW,
} from './cosign-keyless-fixture.ts';
import { ISSUER } from './sigstore-fixture.ts';

const HOUR_MS = 3_600_000;

let keyless: Keyless;
let bundle = '';

before(async () => {
  keyless = await startKeyless();
  bundle = await keyless.signed(PERSON);
});
after(() => keyless.close());

const bothOn = async (change: (file: BundleFile) => void, good = false) =>
  keyless.both({ bundle: await keyless.changed<BundleFile>(bundle, change) }, good);
const changedRoot = (change: (root: RootFile) => void) =>
  keyless.changed<RootFile>(keyless.ours.trustedRoot, change);
const read = async <T>(file: string) => JSON.parse(await readFile(file, 'utf8')) as T;

test('a person and a workflow sign without a key, and both tools say who', async () => {
  const { both, signed, tools, ours, artifact } = keyless;
  await both({ bundle }, true);
  const ofWorkflow = await signed(WORKFLOW);
  await both({ bundle: ofWorkflow, identity: WORKFLOW }, true);
  await both({ bundle: ofWorkflow }, false, /signed by https:\/\/git\.example\.org/);
  const json = await tools.billet(
    ...['verify-blob', '--bundle', bundle, '--trusted-root', ours.trustedRoot, '--json'],
    ...['--certificate-identity', PERSON, '--certificate-oidc-issuer', ISSUER, artifact],
  );
  assert.deepEqual(JSON.parse(passed(json).stdout).identity, { identity: PERSON, issuer: ISSUER });
});

test('a digest stands for the artifact', async () => {
  const { messageSignature } = await read<BundleFile>(bundle);
  const hex = Buffer.from(messageSignature.messageDigest.digest, 'base64').toString('hex');
  await keyless.both({ bundle, artifact: `sha256:${hex}` }, true);
  await keyless.both({ bundle, artifact: `sha256:${'0'.repeat(64)}` }, false);
});

test('another person, issuer and artifact are refused; nothing is a pattern here', async () => {
  const { both, tools } = keyless;
  await both({ bundle, identity: 'other@example.org' }, false, /not by other@example\.org/);
  await both({ bundle, identity: 'release@example.or' }, false);
  await both({ bundle, identity: 'release@*' }, false);
  await both({ bundle, issuer: 'https://issuer.billet.tes' }, false, /of https:\/\/issuer\.billet/);
  await both({ bundle, artifact: await tools.file('other', 'something else') }, false);
});

test('certificates of another authority and logs with another key are refused', async () => {
  const { both, signed, stranger, otherLog } = keyless;
  await both({ bundle, root: stranger.trustedRoot }, false);
  await both({ bundle: await signed(PERSON, stranger) }, false);
  await both({ bundle, root: otherLog.trustedRoot }, false);
  const elsewhere = await signed(PERSON, otherLog);
  await both({ bundle: elsewhere }, false);
  await both({ bundle: elsewhere, root: otherLog.trustedRoot }, true);
  const { ctlogs } = await read<RootFile>(stranger.trustedRoot);
  const root = await changedRoot((file) => {
    file.ctlogs = ctlogs;
  });
  await both({ bundle, root }, false, /SCT verification failed/);
});

test('a certificate outside its validity when the log saw it is refused', async () => {
  const { ours, signed, both } = keyless;
  for (const offset of [-HOUR_MS, HOUR_MS]) {
    ours.rekor.offsetMs = offset;
    const late = await signed(PERSON).finally(() => {
      ours.rekor.offsetMs = 0;
    });
    await both({ bundle: late }, false, /not valid or expired/);
  }
});

test('an authority or a log that was not valid then is refused', async () => {
  const ended = { start: '2020-01-01T00:00:00Z', end: '2020-02-01T00:00:00Z' };
  for (const change of [
    ({ certificateAuthorities: [authority] }: RootFile) => {
      authority.validFor = ended;
    },
    ({ tlogs: [log] }: RootFile) => {
      log.publicKey.validFor = ended;
    },
    ({ ctlogs: [log] }: RootFile) => {
      log.publicKey.validFor = ended;
    },
  ])
    await keyless.both({ bundle, root: await changedRoot(change) }, false);
});

test('without an entry, its signed time or its proof, nothing counts', async () => {
  await bothOn((file) => {
    delete file.verificationMaterial.tlogEntries;
  });
  await bothOn((file) => {
    delete entryOf(file).inclusionPromise;
  });
  await bothOn((file) => {
    delete entryOf(file).inclusionProof;
  });
});

test('every part of an entry that changes makes it worthless', async () => {
  const other = await read<BundleFile>(await keyless.signed(PERSON));
  await bothOn((file) => {
    file.verificationMaterial.tlogEntries = [entryOf(other)];
  });
  for (const parts of [
    { integratedTime: '1' },
    { logIndex: '0' },
    { canonicalizedBody: entryOf(other).canonicalizedBody },
    { inclusionProof: entryOf(other).inclusionProof },
    { inclusionPromise: entryOf(other).inclusionPromise },
  ])
    await bothOn((file) => {
      Object.assign(entryOf(file), parts);
    });
  await bothOn(({ verificationMaterial: { tlogEntries: [entry] = [] } }) => {
    entry?.inclusionProof?.hashes.reverse();
  });
  await bothOn((file) => {
    const { inclusionPromise } = entryOf(file);
    assert.ok(inclusionPromise);
    inclusionPromise.signedEntryTimestamp = flip(inclusionPromise.signedEntryTimestamp);
  });
});

test('signature, digest and certificate belong together', async () => {
  const other = await read<BundleFile>(await keyless.signed(PERSON));
  await bothOn(() => undefined, true);
  for (const parts of [
    { messageSignature: other.messageSignature },
    { verificationMaterial: other.verificationMaterial },
  ])
    await bothOn((file) => {
      Object.assign(file, parts);
    });
  await bothOn(({ verificationMaterial }) => {
    verificationMaterial.certificate = other.verificationMaterial.certificate;
  });
  await bothOn(({ messageSignature }) => {
    messageSignature.signature = flip(messageSignature.signature);
  });
});

test('a bundle that claims another digest than it is over is refused, which cosign overlooks', async () => {
  const { tools, ours, artifact } = keyless;
  const claims = await keyless.changed<BundleFile>(bundle, ({ messageSignature }) => {
    messageSignature.messageDigest.digest = flip(messageSignature.messageDigest.digest);
  });
  const root = ['--new-bundle-format', '--trusted-root', ours.trustedRoot];
  const who = ['--certificate-identity', PERSON, '--certificate-oidc-issuer', ISSUER];
  const argv = ['verify-blob', '--bundle', claims, ...who];
  passed(await tools.cosign(...argv, ...root, artifact));
  refused(await tools.billet(...argv, ...root.slice(1), artifact));
});

test('a certificate that no log has seen, or that is not for signing code, is refused', async () => {
  const { ours, signed, both } = keyless;
  ours.fulcio.faults.withoutSct = true;
  const unseen = await signed(PERSON, ours, '--insecure-skip-verify').finally(() => {
    ours.fulcio.faults.withoutSct = false;
  });
  await both({ bundle: unseen }, false, /expected 1 SCTs, got 0/);
  ours.fulcio.faults.usage = '1.3.6.1.5.5.7.3.1';
  const forServers = await signed(PERSON).finally(() => {
    delete ours.fulcio.faults.usage;
  });
  await both({ bundle: forServers }, false, /not for signing code/);
});

test("cosign's older bundle is read as well", async () => {
  const { tools, ours, artifact } = keyless;
  interface Old {
    rekorBundle?: { SignedEntryTimestamp: string };
  }
  const old = await keyless.signedOld(PERSON);
  const promise = await keyless.changed<Old>(old, ({ rekorBundle }) => {
    assert.ok(rekorBundle);
    rekorBundle.SignedEntryTimestamp = flip(rekorBundle.SignedEntryTimestamp);
  });
  const unlogged = await keyless.changed<Old>(old, (file) => {
    delete file.rekorBundle;
  });
  for (const [file, identity, issuer, good] of [
    [old, PERSON, ISSUER, true],
    [old, 'other@example.org', ISSUER, false],
    [old, PERSON, 'https://other.example', false],
    [promise, PERSON, ISSUER, false],
    [unlogged, PERSON, ISSUER, false],
  ] as const) {
    const who = ['--certificate-identity', identity, '--certificate-oidc-issuer', issuer];
    const argv = ['verify-blob', '--bundle', file, ...who];
    assert.equal((await tools.cosign(...argv, '--offline', artifact)).code === 0, good);
    const ran = await tools.billet(...argv, '--trusted-root', ours.trustedRoot, artifact);
    if (good) passed(ran);
    else refused(ran);
  }
});

test('half of an identity, a key beside it, and what is no trusted root are refused', async () => {
  const { tools, ours, artifact } = keyless;
  const ask = (...args: string[]) =>
    tools.billet('verify-blob', '--bundle', bundle, ...args, artifact);
  const root = ['--trusted-root', ours.trustedRoot];
  const who = ['--certificate-identity', PERSON, '--certificate-oidc-issuer', ISSUER];
  for (const args of [[], root, who, [...root, ...who.slice(2)], [...root, ...who, '--key', 'x']])
    refused(await ask(...args), 'ARGUMENT_INVALID');
  for (const bad of [bundle, artifact])
    refused(await ask(...who, '--trusted-root', bad), 'ARGUMENT_INVALID');
  const broken = await changedRoot(({ tlogs: [log] }) => {
    log.publicKey.rawBytes = 'AAAA';
  });
  refused(await ask(...who, '--trusted-root', broken), 'POLICY_INVALID');
});
