// What the tests of the CA share: a CA in a directory of its own, and the real openssl.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import { systemClock } from '#shared/clock.ts';
import { InstanceId } from '#shared/schema/ids.ts';
import { instanceUri, TrustDomain } from '#shared/spiffe.ts';
import { type Authorities, openAuthorities } from './authorities.ts';

export const trustDomain = TrustDomain.parse('billet.test');
export const instance = InstanceId.parse('i-0123456789abcdef');
export const id = { trustDomain, instance };
export const uri = instanceUri(id);

export interface Workshop {
  readonly authority: Authorities;
  readonly clock: Clock;
  readonly path: (name: string) => string;
  readonly write: (name: string, text: string | Uint8Array) => string;
  /** Runs openssl in the directory; throws with what it said. */
  readonly openssl: (...args: string[]) => string;
  /** A request made by `openssl req`; its key stays in `<name>.key`. */
  readonly csr: (name: string, kind?: KeyKind, ...args: string[]) => string;
}

export type KeyKind = 'ed25519' | 'p256' | 'p384' | 'rsa';

const KEYS: Record<KeyKind, string[]> = {
  ed25519: ['-newkey', 'ed25519'],
  p256: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  p384: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  rsa: ['-newkey', 'rsa:2048'],
};

export async function withWorkshop(work: (workshop: Workshop) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'billet-ca-'));
  const path = (name: string) => join(directory, name);
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: directory, encoding: 'utf8', stdio: 'pipe' });
  const write = (name: string, text: string | Uint8Array) => {
    writeFileSync(path(name), text);
    return path(name);
  };
  try {
    const clock = systemClock;
    const authority = await openAuthorities({ directory: path('ca'), trustDomain, clock });
    // Nothing but what the test asks for: Debian's configuration adds attributes and extensions.
    write('req.cnf', '[req]\ndistinguished_name=dn\n[dn]\n');
    const csr = (name: string, kind: KeyKind = 'ed25519', ...args: string[]) => {
      const files = ['-keyout', `${name}.key`, '-out', `${name}.csr`, '-config', 'req.cnf'];
      const subject = args.includes('-subj') ? [] : ['-subj', '/'];
      openssl('req', '-new', '-nodes', ...KEYS[kind], ...files, ...subject, ...args);
      return readFileSync(path(`${name}.csr`), 'utf8');
    };
    await work({ authority, clock, path, write, openssl, csr });
  } finally {
    rmSync(directory, { recursive: true });
  }
}
