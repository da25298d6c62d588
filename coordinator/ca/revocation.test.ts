// Revocation across two coordinators on one store, and a CRL that the real openssl goes by.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NODE_LIFETIME_MS, RENEW_GRACE_MS } from '#shared/certificate.ts';
import type { Clock } from '#shared/clock.ts';
import { commitAll } from '../store/collection.ts';
import { sqliteStore } from '../store/sqlite.ts';
import { IN_MEMORY } from '../store/sqlite-file.ts';
import type { Store } from '../store/store.ts';
import { id, instance, type Workshop, withWorkshop } from './ca-fixture.ts';
import { issueNodeCertificate } from './issuer.ts';
import { type Certificate, certificateRegister, type Register } from './register.ts';
import { revocations } from './revocation.ts';

interface Bench extends Workshop {
  readonly store: Store;
  readonly register: Register;
  /** Issues and records a certificate, written to `<name>.crt`. */
  readonly node: (name: string) => Promise<Certificate>;
  /** Another coordinator's view of the revocations. */
  readonly view: (clock?: Clock) => ReturnType<typeof revocations>;
}

const withBench = (work: (bench: Bench) => Promise<void>) =>
  withWorkshop(async (shop) => {
    const store = sqliteStore({ path: IN_MEMORY });
    const register = certificateRegister(store);
    const stop = new AbortController();
    const { authority, clock } = shop;
    const node = async (name: string) => {
      const request = { csr: shop.csr(name), id, now: clock.now() };
      const { pem, ...issued } = await issueNodeCertificate(authority, request);
      shop.write(`${name}.crt`, pem);
      const certificate = { ...issued, instance };
      assert.ok(await commitAll(store, [register.issued(certificate)]));
      return { ...certificate, seen: false };
    };
    const view = (at = clock) =>
      revocations({ store, register, authority, clock: at, signal: stop.signal });
    try {
      await work({ ...shop, store, register, node, view });
    } finally {
      stop.abort();
      await store.close();
    }
  });

async function revoke({ store, register, clock }: Bench, except?: Certificate): Promise<number> {
  const order = { reason: 'keyCompromise', by: 'operator:ann', now: clock.now() } as const;
  const kept = except ? { except: except.serial } : {};
  const changes = await register.revokeInstance(instance, { ...order, ...kept });
  return (await commitAll(store, changes))?.revision ?? 0;
}

test('a revocation by one coordinator counts at the other, which is told of it once', () =>
  withBench(async (bench) => {
    const [old, fresh] = [await bench.node('old'), await bench.node('fresh')];
    const other = await bench.view();
    const told: string[] = [];
    const leave = other.onRevoked(({ serial, by }) => told.push(`${serial} ${by}`));
    assert.equal(other.isRevoked(old.serial), false);
    await other.reached(await revoke(bench, fresh));
    assert.deepEqual([other.isRevoked(old.serial), other.isRevoked(fresh.serial)], [true, false]);
    assert.deepEqual(told, [`${old.serial} operator:ann`]);
    leave();
    await other.reached(await revoke(bench));
    assert.equal(told.length, 1);
    assert.ok(other.isRevoked(fresh.serial));
    assert.ok((await bench.view()).isRevoked(old.serial));
    const order = { reason: 'unspecified', by: 'x', now: bench.clock.now() } as const;
    assert.deepEqual(await bench.register.revokeInstance(instance, order), []);
  }));

test('openssl refuses by the CRL what was revoked, and nothing else', () =>
  withBench(async (bench) => {
    const [bad, good] = [await bench.node('bad'), await bench.node('good')];
    const view = await bench.view();
    const verify = (name: string) =>
      bench.openssl(
        ...['verify', '-x509_strict', '-crl_check', '-CRLfile', 'ca.crl'],
        ...['-CAfile', 'ca/ca.crt', `${name}.crt`],
      );
    bench.write('ca.crl', await view.crl());
    verify('bad');
    await view.reached(await revoke(bench, good));
    bench.write('ca.crl', await view.crl());
    assert.throws(() => verify('bad'), /certificate revoked/);
    verify('good');
    const text = bench.openssl('crl', '-in', 'ca.crl', '-noout', '-text', '-CAfile', 'ca/ca.crt');
    assert.match(text, new RegExp(`Serial Number: ${bad.serial.toUpperCase()}`));
    assert.match(text, /CRL Reason Code:\s+Key Compromise/i);
    assert.match(text, /X509v3 Authority Key Identifier/);
  }));

test('the number of the CRL only grows, over all coordinators, and an unchanged one is kept', () =>
  withBench(async (bench) => {
    const numbers: number[] = [];
    const [one, two] = [await bench.view(), await bench.view()];
    for (let at = 0; at < 150; at += 1) {
      const view = await bench.view();
      if (at % 50 === 0) numbers.push(numberOf(bench, await view.crl()));
      else await view.crl();
    }
    numbers.push(numberOf(bench, await one.crl()), numberOf(bench, await two.crl()));
    assert.deepEqual(numbers, [1, 51, 101, 151, 152]);
    assert.equal(await one.crl(), await one.crl());
    assert.equal(numberOf(bench, await one.crl()), 151);
  }));

function numberOf({ write, openssl }: Bench, crl: string): number {
  write('numbered.crl', crl);
  return Number(openssl('crl', '-in', 'numbered.crl', '-noout', '-crlnumber').split('=')[1]);
}

test('a certificate that ran out leaves the CRL, and its records once it cannot be renewed', () =>
  withBench(async (bench) => {
    const { serial } = await bench.node('old');
    await revoke(bench);
    const after = (ms: number): Clock => ({ ...bench.clock, now: () => bench.clock.now() + ms });
    const crlAt = async (ms: number) => {
      bench.write('later.crl', await (await bench.view(after(ms))).crl());
      return bench
        .openssl('crl', '-in', 'later.crl', '-noout', '-text')
        .includes(serial.toUpperCase());
    };
    assert.equal(await crlAt(NODE_LIFETIME_MS - 60_000), true);
    assert.equal(await crlAt(NODE_LIFETIME_MS + 60_000), false);
    const end = bench.clock.now() + NODE_LIFETIME_MS + RENEW_GRACE_MS;
    assert.equal(await bench.register.prune(end - 60_000), 0);
    assert.ok((await bench.view()).isRevoked(serial));
    assert.equal(await bench.register.prune(end + 60_000), 2);
    assert.deepEqual(await bench.register.of(instance), []);
  }));
