// Machines that ask to be claimed: one as its requests (key, secret, what it says on the wire), and one
// as the agent's own code over a directory.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { ShownClaim } from '../../agent/identity/claim.ts';
import { type Enrolled, ensureEnrolled } from '../../agent/identity/ensure-enrolled.ts';
import type { NodeKey } from '../../agent/identity/key.ts';
import { type Clock, systemClock } from '../../shared/clock.ts';
import { createCsr } from '../../shared/csr.ts';
import { sha256 } from '../../shared/digest.ts';
import { routes } from '../../shared/routes/table.ts';
import { ClaimCode, type ClaimStatus } from '../../shared/schema/claim.ts';
import { SourceIdentity } from '../../shared/schema/identity.ts';
import { type InstanceId, NodeName } from '../../shared/schema/ids.ts';
import { NodeSpec } from '../../shared/schema/records.ts';
import { eventually } from '../agent/agent-fixture.ts';
import { bodyOf, csrOf, FACTS, type Fixture, newKey } from '../coordinator/coordinator-fixture.ts';

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

/** Polls a hundred times as often. */
export const fastClock = (fixture: Fixture): Clock => ({
  ...systemClock,
  now: () => fixture.clock.now(),
  sleep: (ms, signal) => systemClock.sleep(ms / 100, signal),
});

export const sourceOf = (fixture: Fixture): SourceIdentity =>
  SourceIdentity.parse({
    coordinator: fixture.coordinator.url,
    ca: fixture.coordinator.caFingerprint,
  });

export interface Run {
  readonly shown: ShownClaim[];
  readonly enrolled: Promise<Enrolled>;
  code(): Promise<string>;
  /** Power off. */
  kill(): Promise<void>;
}

/** A machine that starts with what lies in `dir`. */
export function startMachine(fixture: Fixture, dir: string): Run {
  const shown: ShownClaim[] = [];
  const off = new AbortController();
  const onClaim = (claim: ShownClaim) => shown.push(claim);
  const request = {
    identity: sourceOf(fixture),
    facts: FACTS,
    dir,
    clock: fastClock(fixture),
    onClaim,
  };
  const enrolled = ensureEnrolled(request, off.signal);
  enrolled.catch(() => undefined);
  return {
    shown,
    enrolled,
    async code() {
      const seen = await eventually(
        () => shown.at(-1)?.code ?? '',
        (code) => code !== '',
      );
      return seen;
    },
    async kill() {
      off.abort(new Error('power off'));
      await assert.rejects(enrolled);
    },
  };
}
