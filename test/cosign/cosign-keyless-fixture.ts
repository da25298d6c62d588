// What the suites of signatures without keys share: three small sigstores, bundles that the real
// cosign makes against them, changed copies, and one question put to both tools.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { changedJson, passed, refused, startTools, type Tools } from './cosign-fixture.ts';
import { ISSUER, type Sigstore, startSigstore } from './sigstore-fixture.ts';

export const PERSON = 'release@example.org';
export const WORKFLOW = 'https://git.example.org/team/web/.ci/release.yml@refs/tags/v1';

/** sigstore_rekor.proto, TransparencyLogEntry, in JSON. */
export interface Entry {
  integratedTime: string;
  logIndex: string;
  inclusionPromise?: { signedEntryTimestamp: string };
  inclusionProof?: { hashes: string[]; logIndex: string; checkpoint: { envelope: string } };
  canonicalizedBody: string;
}

export interface BundleFile {
  verificationMaterial: { tlogEntries?: Entry[]; certificate: { rawBytes: string } };
  messageSignature: { messageDigest: { digest: string }; signature: string };
}

interface TrustedLog {
  publicKey: { rawBytes: string; validFor: object };
}
export interface RootFile {
  tlogs: [TrustedLog];
  ctlogs: [TrustedLog];
  certificateAuthorities: [{ validFor: object }];
}

export interface Question {
  readonly bundle: string;
  readonly artifact?: string;
  readonly root?: string;
  readonly identity?: string;
  readonly issuer?: string;
  /** Flags that only cosign needs. */
  readonly flags?: readonly string[];
}

export interface Keyless {
  readonly tools: Tools;
  readonly artifact: string;
  readonly ours: Sigstore;
  /** Nothing in common with ours. */
  readonly stranger: Sigstore;
  /** Our authority, and a log of its own. */
  readonly otherLog: Sigstore;
  /** A new bundle over the artifact, as the real cosign makes it. */
  signed(who: string, at?: Sigstore, ...flags: string[]): Promise<string>;
  /** The same in cosign's older format. */
  signedOld(who: string): Promise<string>;
  /** A changed copy of a file in JSON. */
  changed<T>(from: string, change: (json: T) => void): Promise<string>;
  /** Asks both tools, which have to say the same; Billet's reason has to match when it is no. */
  both(question: Question, good: boolean, reason?: RegExp): Promise<void>;
  close(): Promise<void>;
}

export const entryOf = ({ verificationMaterial }: BundleFile): Entry => {
  const [entry] = verificationMaterial.tlogEntries ?? [];
  assert.ok(entry);
  return entry;
};

export async function startKeyless(): Promise<Keyless> {
  const tools = await startTools();
  const ours = await startSigstore(tools);
  const stranger = await startSigstore(tools);
  const otherLog = await startSigstore(tools, { fulcio: ours.fulcio });
  const artifact = await tools.file('artifact', 'what is signed');
  let count = 0;
  const newFile = () => `file-${++count}.json`;
  const sign = async (who: string, at: Sigstore, flags: readonly string[]): Promise<string> => {
    at.use();
    const file = join(tools.dir, newFile());
    const argv = ['sign-blob', ...(await at.signAs(who)), ...flags, '--bundle', file, artifact];
    passed(await tools.cosign(...argv));
    return file;
  };
  return {
    tools,
    artifact,
    ours,
    stranger,
    otherLog,
    signed: (who, at = ours, ...flags) => sign(who, at, ['--new-bundle-format', ...flags]),
    signedOld: (who) => sign(who, ours, []),
    changed: (from, change) => changedJson(tools, from, newFile(), change),
    async both(question, good, reason = /./) {
      const { root = ours.trustedRoot, identity = PERSON, issuer = ISSUER } = question;
      const args = [
        ...['--bundle', question.bundle, '--trusted-root', root],
        ...['--certificate-identity', identity, '--certificate-oidc-issuer', issuer],
        question.artifact ?? artifact,
      ];
      const flags = ['--new-bundle-format', ...(question.flags ?? [])];
      const theirs = await tools.cosign('verify-blob', ...flags, ...args);
      assert.equal(theirs.code === 0, good, `cosign: ${theirs.stderr}`);
      const ran = await tools.billet('verify-blob', ...args);
      if (good) passed(ran);
      else refused(ran);
      assert.match(ran.stderr, good ? /^$/ : reason);
    },
    async close() {
      for (const each of [ours, stranger, otherLog]) await each.close();
      await tools.close();
    },
  };
}
