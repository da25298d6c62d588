// A machine that asks to be claimed, as its requests: key, secret, and what it says on the wire.

import { randomBytes } from 'node:crypto';
import { createCsr } from '../agent/identity/csr.ts';
import type { NodeKey } from '../agent/identity/key.ts';
import { sha256 } from '../shared/digest.ts';
import { routes } from '../shared/routes/table.ts';
import { ClaimCode, type ClaimStatus } from '../shared/schema/claim.ts';
import { type InstanceId, NodeName } from '../shared/schema/ids.ts';
import { NodeSpec } from '../shared/schema/records.ts';
import { bodyOf, csrOf, FACTS, type Fixture, newKey } from './coordinator-fixture.ts';

export interface Machine {
  readonly key: NodeKey;
  readonly secret: string;
  /** SHA-256 of its public key. */
  readonly keyDigest: string;
  open(more?: object): Promise<ClaimStatus>;
  poll(code: string): Promise<ClaimStatus>;
  /** The certificate, with the claim's secret as the token. */
  enroll(instance: InstanceId, as?: NodeKey): Promise<string>;
}

export const newSecret = (): string => randomBytes(32).toString('base64url');

export function newMachine(fixture: Fixture, of: Partial<Pick<Machine, 'key' | 'secret'>> = {}) {
  const { key = newKey(), secret = newSecret() } = of;
  const { client } = fixture.client();
  const machine: Machine = {
    key,
    secret,
    keyDigest: sha256(key.publicKey.export({ type: 'spki', format: 'der' })),
    async open(more = {}) {
      const body = { secret, csr: createCsr(key, null), facts: FACTS, ...more };
      return bodyOf(await client.call(routes.openClaim, { body }));
    },
    async poll(code) {
      const body = { code: ClaimCode.parse(code), secret };
      return bodyOf(await client.call(routes.pollClaim, { body }));
    },
    async enroll(instance, as = key) {
      const body = { instance, token: secret, csr: csrOf(as, instance), facts: FACTS };
      return bodyOf(await client.call(routes.enroll, { body })).certificate;
    },
  };
  return machine;
}

export async function makeNode(fixture: Fixture, name: string): Promise<NodeName> {
  const body = { name: NodeName.parse(name), spec: NodeSpec.parse({}) };
  await fixture.admin.call(routes.createNode, { body });
  return body.name;
}

export async function approve(fixture: Fixture, code: string, node: string, replace = false) {
  const params = { code: ClaimCode.parse(code) };
  const body = { node: NodeName.parse(node), replace };
  return bodyOf(await fixture.admin.call(routes.approveClaim, { params, body }));
}

export async function deny(fixture: Fixture, code: string) {
  const params = { code: ClaimCode.parse(code) };
  return bodyOf(await fixture.admin.call(routes.denyClaim, { params }));
}
