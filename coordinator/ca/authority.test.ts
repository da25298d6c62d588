// The CA on disk: made whole, opened again, and refused when something is wrong with it.

import assert from 'node:assert/strict';
import { chmodSync, readdirSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { test } from 'node:test';
import { CA_LIFETIME_MS } from '#shared/certificate.ts';
import type { Clock } from '#shared/clock.ts';
import { openAuthorities } from './authorities.ts';
import { trustDomain, type Workshop, withWorkshop } from './ca-fixture.ts';

const open = ({ path, clock }: Workshop, name: string, at: Clock = clock) =>
  openAuthorities({ directory: path(name), trustDomain, clock: at });

test('a CA is made once, for the owner only, and passes the strict check of OpenSSL', () =>
  withWorkshop(async (shop) => {
    const { authority, openssl, path } = shop;
    assert.equal(statSync(path('ca/ca.key')).mode & 0o777, 0o600);
    assert.equal(statSync(path('ca')).mode & 0o777, 0o700);
    openssl('verify', '-x509_strict', '-check_ss_sig', '-CAfile', 'ca/ca.crt', 'ca/ca.crt');
    const text = openssl('x509', '-in', 'ca/ca.crt', '-noout', '-text');
    assert.match(text, /Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    assert.match(text, /Key Usage: critical\s+Certificate Sign, CRL Sign/);
    const print = openssl('x509', '-in', 'ca/ca.crt', '-noout', '-fingerprint', '-sha256');
    const hex = print.trim().split('=')[1]?.replaceAll(':', '').toLowerCase();
    assert.equal(authority.fingerprint, `sha256:${hex}`);
    assert.equal((await open(shop, 'ca')).fingerprint, authority.fingerprint);
  }));

test('a crash in the middle of making it leaves no CA, and the next start makes one', () =>
  withWorkshop(async (shop) => {
    await mkdir(shop.path('other.new'));
    shop.write('other.new/ca.key', 'half');
    await mkdir(shop.path('other'));
    await open(shop, 'other');
    assert.deepEqual(readdirSync(shop.path('other')).sort(), ['ca.crt', 'ca.key']);
  }));

test('a key that others may have read is refused', () =>
  withWorkshop(async (shop) => {
    for (const mode of [0o640, 0o604, 0o660]) {
      chmodSync(shop.path('ca/ca.key'), mode);
      await assert.rejects(open(shop, 'ca'), { code: 'CA_INVALID', message: /mode 6/ });
    }
    chmodSync(shop.path('ca/ca.key'), 0o600);
    renameSync(shop.path('ca/ca.key'), shop.path('elsewhere'));
    symlinkSync(shop.path('elsewhere'), shop.path('ca/ca.key'));
    await assert.rejects(open(shop, 'ca'), { code: 'CA_INVALID' });
  }));

test('a key without its certificate, or with another, is refused and nothing is made anew', () =>
  withWorkshop(async (shop) => {
    await open(shop, 'other');
    rmSync(shop.path('ca/ca.crt'));
    await assert.rejects(open(shop, 'ca'), { code: 'CA_INVALID', message: /alone/ });
    assert.deepEqual(readdirSync(shop.path('ca')), ['ca.key']);
    renameSync(shop.path('other/ca.crt'), shop.path('ca/ca.crt'));
    await assert.rejects(open(shop, 'ca'), { code: 'CA_INVALID', message: /not that of/ });
    shop.write('ca/ca.crt', 'rubbish');
    await assert.rejects(open(shop, 'ca'), { code: 'CA_INVALID', message: /cannot be read/ });
  }));

test('a CA that has run out is refused', () =>
  withWorkshop(async (shop) => {
    const later: Clock = { ...shop.clock, now: () => shop.clock.now() + CA_LIFETIME_MS + 1_000 };
    await assert.rejects(open(shop, 'ca', later), { code: 'CA_INVALID', message: /run out/ });
  }));
