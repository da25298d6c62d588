// A rotation of the CA on disk, ended before each of its steps as kill -9 would, and gone on with at
// the next start. Real files, real keys, verified by openssl.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '#shared/clock.ts';
import type { Digest } from '#shared/digest.ts';
import { readBundle } from '#shared/trust-bundle.ts';
import { type Authorities, openAuthorities } from './authorities.ts';
import { trustDomain, withWorkshop } from './ca-fixture.ts';
import { issueServerCertificate } from './issuer.ts';
import { type CaFiles, caFiles, DISK, type DiskSteps } from './key-files.ts';

const clock = systemClock;

/** The disk, which ends the process before its step number `at`, and stays as it is from then on. */
function dying(at: number): DiskSteps & { readonly died: () => boolean } {
  let steps = 0;
  const step = async (work: () => Promise<void>) => {
    steps += 1;
    if (steps >= at) throw new Error('killed');
    await work();
  };
  return {
    died: () => steps >= at,
    write: (...args) => step(() => DISK.write(...args)),
    rename: (...args) => step(() => DISK.rename(...args)),
    remove: (...args) => step(() => DISK.remove(...args)),
  };
}

/** What came of a rotation and of a retirement, each ended before every one of its steps. */
async function endedEverywhere(
  reopen: (directory: string) => CaFiles,
  check: (before: readonly Digest[], after: Authorities, what: 'rotate' | 'retire') => void,
): Promise<number> {
  let ends = 0;
  for (const what of ['rotate', 'retire'] as const)
    for (let at = 1; ; at += 1) {
      const root = mkdtempSync(join(tmpdir(), 'billet-ca-'));
      const directory = join(root, 'ca');
      const open = (files: CaFiles) => openAuthorities({ directory, trustDomain, clock, files });
      try {
        const first = await open(caFiles(directory));
        if (what === 'retire') await first.rotate();
        const before = fingerprints(first);
        const disk = dying(at + 2);
        // Two steps of every start, which finds nothing to finish.
        const doomed = await open(caFiles(directory, disk));
        const done = await doomed[what]().then(
          () => true,
          () => false,
        );
        if (done && !disk.died()) break;
        ends += 1;
        const after = await open(reopen(directory));
        check(before, after, what);
        // The same command again, whatever the crash left, gets to the end.
        if (what === 'retire' || after.previous === null) await after[what]();
        assert.equal(after.trusted.length, what === 'rotate' ? 2 : 1);
        assert.deepEqual(readdirSync(root).sort(), onDisk(what));
      } finally {
        rmSync(root, { recursive: true });
      }
    }
  return ends;
}

const fingerprints = ({ trusted }: Authorities) => trusted.map(({ fingerprint }) => fingerprint);
const onDisk = (what: 'rotate' | 'retire') => (what === 'rotate' ? ['ca', 'ca.previous'] : ['ca']);

/** As it was, or done; and while two are trusted, who trusts the old one can follow to the new. */
function isWhole(before: readonly Digest[], after: Authorities, what: 'rotate' | 'retire'): void {
  const now = fingerprints(after);
  if (what === 'rotate' && now.length === 2) assert.equal(now[1], before[0]);
  else if (what === 'retire' && now.length === 1) assert.equal(now[0], before[0]);
  else assert.deepEqual(now, before);
  assert.equal(readBundle(after.chainPem).length, now.length, 'the chain leads to each of them');
}

test('ended before any step, a rotation is as before or done, and a retirement too', async () => {
  const ends = await endedEverywhere(caFiles, isWhole);
  assert.ok(ends >= 8, `${ends} places`);
});

test('were it not finished at the next start, nodes could not follow to the new CA', async () => {
  const careless = (directory: string): CaFiles => ({
    ...caFiles(directory),
    settle: async () => undefined,
  });
  await assert.rejects(endedEverywhere(careless, isWhole), /the chain leads to each of them/);
});

test('who trusts the old CA follows to the new one by its cross-certificate, and not without it', () =>
  withWorkshop(async ({ authority, openssl, path, write }) => {
    const old = authority.certificatePem;
    write('old.crt', old);
    await authority.rotate();
    write('new.crt', authority.certificatePem);
    write('bundle.crt', authority.bundlePem);
    const chain = readBundle(authority.chainPem);
    assert.equal(chain[1]?.pem, old);
    write('cross.crt', chain[0]?.pem ?? '');
    const strict = ['verify', '-x509_strict', '-purpose', 'sslserver'];
    const names = ['coordinator'];
    const server = await issueServerCertificate(authority, { names, now: clock.now() });
    write('server.crt', server.chain);
    for (const trusted of ['new.crt', 'bundle.crt'])
      openssl(...strict, '-CAfile', trusted, 'server.crt');
    openssl(...strict, '-CAfile', 'old.crt', '-untrusted', 'cross.crt', 'server.crt');
    assert.throws(() => openssl(...strict, '-CAfile', 'old.crt', 'server.crt'), /error 2\d at/);
    // One name for both: the cross-certificate is self-issued, and a path length of 0 suffices.
    const text = openssl('x509', '-in', 'cross.crt', '-noout', '-text');
    const [, issuer] = /Issuer: (.*)/.exec(text) ?? [];
    assert.match(text, new RegExp(`Subject: ${issuer}\\n`));
    assert.match(text, /CA:TRUE, pathlen:0/);
    assert.equal(statSync(path('ca.previous/ca.key')).mode & 0o777, 0o600);
    await assert.rejects(authority.rotate(), { code: 'CONFLICT', hint: /billet ca retire/ });
    await authority.retire();
    assert.equal(existsSync(path('ca.previous')), false);
    assert.equal(authority.chainPem, authority.certificatePem);
  }));
