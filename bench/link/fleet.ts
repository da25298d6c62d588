// A fleet as it lies in a coordinator's state directory once its nodes have enrolled, made in it
// before the coordinator starts, by the coordinator's own code: nodes, instances, certificates, and
// tokens for those that are to enroll. Not measured.

import { generateKeyPairSync } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import { createCsr } from '#shared/csr.ts';
import { type InstanceId, NodeName } from '#shared/schema/ids.ts';
import { NodeSpec } from '#shared/schema/records.ts';
import type { TrustDomain } from '#shared/spiffe.ts';
import type { NodeKey } from '../../agent/identity/key.ts';
import { openAuthorities } from '../../coordinator/ca/authorities.ts';
import { issueNodeCertificate } from '../../coordinator/ca/issuer.ts';
import { certificateRegister } from '../../coordinator/ca/register.ts';
import { createInstance } from '../../coordinator/nodes/instance-writes.ts';
import { after } from '../../coordinator/nodes/lifecycle.ts';
import { createNode } from '../../coordinator/nodes/node-writes.ts';
import { enter } from '../../coordinator/nodes/records.ts';
import { createToken } from '../../coordinator/nodes/token-writes.ts';
import { TOKEN_TTL_MS } from '../../coordinator/nodes/tokens.ts';
import { records as openRecords } from '../../coordinator/records.ts';
import { commitAll } from '../../coordinator/store/collection.ts';
import { sqliteStore } from '../../coordinator/store/sqlite.ts';
import { inParallel } from './in-parallel.ts';

/** One agent's end of the link, as text, so that it can go to another process. */
export interface FleetAgent {
  readonly instance: InstanceId;
  /** PKCS#8 PEM, Ed25519. */
  readonly key: string;
  /** PEM; null for one that is to enroll. */
  readonly certificate: string | null;
  /** The secret, for one that is to enroll. */
  readonly token: string | null;
}

export interface Fleet {
  readonly stateDir: string;
  /** PEM of the CA. */
  readonly ca: string;
  readonly agents: readonly FleetAgent[];
}

const ACTOR = 'bench';
/** Of the coordinator's default configuration. */
const TRUST_DOMAIN = 'billet.internal' as TrustDomain;
/** Commits at once, which share a transaction. */
const WIDTH = 64;

export async function makeFleet(
  {
    dir,
    clock,
    signal,
  }: { readonly dir: string; readonly clock: Clock; readonly signal: AbortSignal },
  size: { readonly enrolled: number; readonly new: number },
): Promise<Fleet> {
  const stateDir = join(dir, 'coordinator');
  await mkdir(stateDir, { mode: 0o700 });
  const store = sqliteStore({ path: join(stateDir, 'store.sqlite') });
  try {
    const directory = join(stateDir, 'ca');
    const authority = await openAuthorities({ directory, trustDomain: TRUST_DOMAIN, clock });
    const register = certificateRegister(store);
    const records = openRecords(store, clock);

    async function enrolled(instance: InstanceId, key: NodeKey): Promise<string> {
      const now = clock.now();
      const id = { trustDomain: TRUST_DOMAIN, instance };
      const csr = createCsr(key, instance);
      const { pem, ...issued } = await issueNodeCertificate(authority, { csr, id, now });
      const { serial, notAfter } = issued;
      const found = await records.instances.get(instance);
      if (!found) throw new Error(`${instance} is not there`);
      const state = enter(found.record, after(found.record.state, 'contact'), now);
      const boot = { ordered: false, token: null };
      const next = { ...state, boot, certificate: { serial, notAfter } };
      const changes = [
        register.issued({ ...issued, instance }),
        records.instances.put(instance, next, found.revision),
      ];
      if (!(await commitAll(store, changes))) throw new Error(`${instance} was changed meanwhile`);
      return pem;
    }

    const agents = await inParallel(size.enrolled + size.new, WIDTH, async (number) => {
      signal.throwIfAborted();
      const name = NodeName.parse(`node-${number}`);
      await createNode(records, ACTOR, { name, spec: NodeSpec.parse({}) });
      const { id: instance } = await createInstance(records, ACTOR, name);
      const key = newKey();
      const agent = { instance, key: key.pem, certificate: null, token: null };
      if (number < size.enrolled) return { ...agent, certificate: await enrolled(instance, key) };
      const made = await createToken(records, ACTOR, { instance, ttlMs: TOKEN_TTL_MS });
      return { ...agent, token: made.secret };
    });
    return { stateDir, ca: authority.bundlePem, agents };
  } finally {
    await store.close();
  }
}

function newKey(): NodeKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { privateKey, publicKey, pem };
}
