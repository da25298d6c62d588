// The rules around a rotation: who depends on the old CA, that only what was seen ends a dependence,
// and that the store follows the disk after a crash between the two.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NODE_LIFETIME_MS, RENEW_GRACE_MS } from '#shared/certificate.ts';
import { sha256 } from '#shared/digest.ts';
import { NodeName } from '#shared/schema/ids.ts';
import { NodeSpec } from '#shared/schema/records.ts';
import { createInstance } from '../nodes/instance-writes.ts';
import { createNode } from '../nodes/node-writes.ts';
import { records as openRecords, type Records } from '../records.ts';
import { sqliteStore } from '../store/sqlite.ts';
import { IN_MEMORY } from '../store/sqlite-file.ts';
import { arrivals } from './arrivals.ts';
import { type Workshop, withWorkshop } from './ca-fixture.ts';
import { dependsOn } from './dependents.ts';
import { certificateRegister, type Register } from './register.ts';
import { openRotation, type Rotation } from './rotation.ts';

const [OLD, NEW] = [sha256('old'), sha256('new')];
const silent = { info: () => {}, warn: () => {}, error: () => {} };

test('an instance depends on the old CA until it was seen with the new, or can renew no more', () => {
  const now = 1_000 * NODE_LIFETIME_MS;
  const of = (ca: typeof OLD | null, seen: boolean, notAfter = now + 1) => ({ ca, seen, notAfter });
  const depends = (...all: ReturnType<typeof of>[]) => dependsOn(all, NEW, now);
  assert.equal(depends(), false);
  assert.equal(depends(of(OLD, false)), true);
  assert.equal(depends(of(OLD, true)), true, 'seen with the old one');
  assert.equal(depends(of(null, false)), true, 'issued before it was recorded by whom');
  assert.equal(depends(of(OLD, false), of(NEW, false)), true, 'the reply may be lost');
  assert.equal(depends(of(OLD, false), of(NEW, true)), false);
  assert.equal(depends(of(NEW, false)), false, 'enrolled since');
  assert.equal(depends(of(OLD, false, now - RENEW_GRACE_MS)), false);
  assert.equal(depends(of(OLD, false, now - RENEW_GRACE_MS + 1)), true);
});

interface Bench extends Workshop {
  readonly records: Records;
  readonly register: Register;
  open(): Promise<Rotation>;
}

const withBench = (work: (bench: Bench) => Promise<void>) =>
  withWorkshop(async (shop) => {
    const store = sqliteStore({ path: IN_MEMORY });
    const { authority, clock } = shop;
    const records = openRecords(store, clock);
    const register = certificateRegister(store);
    const revocations = { isRevoked: () => false, reached: async () => undefined };
    const onChange = async () => undefined;
    const open = () => openRotation({ authority, records, register, revocations, clock, onChange });
    try {
      await work({ ...shop, records, register, open });
    } finally {
      await store.close();
    }
  });

const eventsOf = async ({ records }: Bench) =>
  (await Array.fromAsync(records.events.all())).map(({ record }) => record.kind);

/** An instance with a certificate of the CA that issues now. */
async function enrolled({ records, register, authority, clock }: Bench) {
  const name = NodeName.parse('web-1');
  await createNode(records, 'operator:ann', { name, spec: NodeSpec.parse({}) });
  const { id: instance } = await createInstance(records, 'operator:ann', name);
  const certify = async (serial: string) => {
    const times = { notBefore: clock.now(), notAfter: clock.now() + NODE_LIFETIME_MS };
    const certificate = { serial, instance, ca: authority.fingerprint, ...times } as Parameters<
      Register['issued']
    >[0];
    const { condition, write } = register.issued(certificate);
    await records.store.commit([condition], [write]);
    return { ...certificate, ca: authority.fingerprint };
  };
  return { instance, certify };
}

test('only a node that was seen with its new certificate lets the old CA go', () =>
  withBench(async (bench) => {
    const { authority, register } = bench;
    const rotation = await bench.open();
    const { certify } = await enrolled(bench);
    await certify('1a');
    await rotation.rotate('admin:ann');
    const fresh = await certify('2b');
    const refused = {
      code: 'CONFLICT',
      message: /1 instance still depends.*web-1/,
      hint: /--force/,
    };
    await assert.rejects(rotation.retire('admin:ann', false), refused);
    assert.ok(authority.previous, 'nothing is half done');

    // Were its arrival not recorded, the old CA would never go.
    const forgetful = arrivals({
      authority,
      log: silent,
      register: { seen: async () => undefined },
    });
    forgetful.note(fresh);
    await assert.rejects(rotation.retire('admin:ann', false), refused);
    const failing = { seen: () => Promise.reject(new Error('the disk is full')) };
    const careful = arrivals({ authority, log: silent, register: failing });
    careful.note(fresh);
    arrivals({ authority, log: silent, register }).note(fresh);
    await register.seen(fresh.instance, fresh.serial);
    await rotation.retire('admin:ann', false);
    assert.equal(authority.previous, null);
  }));

test('a crash between disk and store is made good at the next start, once', () =>
  withBench(async (bench) => {
    const { authority } = bench;
    await bench.open();
    assert.deepEqual(await eventsOf(bench), ['ca.created']);
    await authority.rotate();
    await bench.open();
    await bench.open();
    assert.deepEqual(await eventsOf(bench), ['ca.created', 'ca.rotated']);
    await authority.retire();
    await (await bench.open()).retire('admin:ann', false);
    assert.deepEqual(await eventsOf(bench), ['ca.created', 'ca.rotated', 'ca.retired']);
  }));
