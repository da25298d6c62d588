// Which BMC, who logs in, and by what it is recognised: from flags, with the password from a file that
// only its owner reads. Throws ARGUMENT_INVALID.

import { readFile } from 'node:fs/promises';
import { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { readPassphrase } from '../passphrase.ts';
import { parseArgument } from '../remote.ts';
import { bareHost } from './bare-host.ts';
import type { BmcTrust } from './redfish/tls.ts';

export interface BmcFlags {
  readonly bmc?: string;
  readonly bmcUser?: string;
  readonly bmcPassword?: string;
  readonly bmcFingerprint?: string;
  readonly bmcCa?: string;
}

export interface Bmc {
  readonly url: URL;
  /** As programs take it: an IPv6 address without brackets. */
  readonly host: string;
  readonly user: string;
  readonly password: string;
  /** The file that the password is in, for programs that read it themselves. */
  readonly passwordFile: string;
  readonly trust: BmcTrust;
}

export async function readBmc(flags: BmcFlags, protocol: 'https:' | 'ipmi:'): Promise<Bmc> {
  const url = URL.canParse(flags.bmc ?? '') ? new URL(flags.bmc ?? '') : null;
  const shown = protocol === 'https:' ? 'https://HOST' : 'ipmi://HOST';
  if (flags.bmc === undefined)
    throw invalid('this transport needs a BMC', `name it with --bmc ${shown}`);
  if (url === null || url.protocol !== protocol || url.hostname === '')
    throw invalid(`--bmc ${flags.bmc} is no BMC of this transport`, `write it as ${shown}`);
  if (url.username !== '' || url.password !== '')
    throw invalid(
      'a user or password in --bmc is seen by others',
      'use --bmc-user and --bmc-password',
    );
  if (flags.bmcUser === undefined || flags.bmcPassword === undefined)
    throw invalid('nobody logs in to the BMC', 'name --bmc-user and --bmc-password');
  const password = await readPassphrase(flags.bmcPassword, 1);
  return {
    ...{
      url,
      host: bareHost(url.hostname),
      user: flags.bmcUser,
      password: password ?? '',
      passwordFile: flags.bmcPassword,
    },
    trust: {
      fingerprint:
        flags.bmcFingerprint === undefined
          ? null
          : parseArgument(Digest, normal(flags.bmcFingerprint), '--bmc-fingerprint'),
      ca: flags.bmcCa === undefined ? null : await readCa(flags.bmcCa),
    },
  };
}

/** As web pages of BMCs and openssl show it, too: `AB:CD:…`. */
const normal = (text: string) => {
  const digits = text
    .replace(/^sha256:/i, '')
    .replaceAll(':', '')
    .toLowerCase();
  return `sha256:${digits}`;
};

async function readCa(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((cause: Error) => {
    throw invalid(`cannot read ${file}: ${cause.message}`, 'name a file with the CA in PEM');
  });
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw invalid(`${file} holds no certificate`, 'name a file with the CA in PEM');
}

const invalid = (message: string, hint: string) =>
  new BilletError('ARGUMENT_INVALID', message, { hint });
