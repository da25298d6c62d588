// The coordinator's configuration: one strict JSON file (comments are allowed), and flags for the common
// fields. Reads files and arguments; starts nothing.

import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { parseCommentedJson } from '#shared/commented-json.ts';
import { BilletError } from '#shared/errors.ts';
import { describeFaults } from '#shared/schema/faults.ts';
import { TrustDomain } from '#shared/spiffe.ts';
import { ProvidersConfig } from './providers/config.ts';
import { SignalsConfig } from './signals/config.ts';

const CONFIG_FILE = '/etc/billet/coordinator.json';

/** `host:port`, with brackets around an IPv6 address; port 0 is any free one. */
const Listen = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/, 'host:port')
  .refine((text) => Number(text.slice(text.lastIndexOf(':') + 1)) <= 65_535, 'a port up to 65535');

const ServerName = z
  .string()
  .max(253)
  .refine(
    (name) => isIP(name) !== 0 || /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(name),
    'a DNS name or an IP address',
  );

const baseUrl = (protocol: RegExp) =>
  z.url({ protocol }).transform((url) => url.replace(/\/+$/, ''));

export const Config = z.strictObject({
  /** Store, CA, registry and the admin's context; mode 0700. */
  stateDir: z.string().startsWith('/').default('/var/lib/billet/coordinator'),
  listen: Listen.default('127.0.0.1:8443'),
  /** Plain HTTP, for boot files only; null switches network boot off. */
  bootListen: Listen.nullable().default('127.0.0.1:8480'),
  /** By which nodes and operators reach `listen`; made of `names` and the port without it. */
  url: baseUrl(/^https$/).optional(),
  bootUrl: baseUrl(/^http$/).optional(),
  trustDomain: TrustDomain.default('billet.internal' as TrustDomain),
  /** DNS names and IP addresses of the server's certificate; the hosts of the URLs are added. */
  names: z.array(ServerName).max(64).default([]),
  /** Tells this coordinator from others over the same store. */
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{0,62}$/)
    .default('coordinator'),
  /** Who makes machines; all disabled without it. */
  providers: ProvidersConfig.prefault({}),
  /** What is noticed of instances, when, and what follows. */
  signals: SignalsConfig.prefault({}),
  claims: z
    .strictObject({
      /**
       * Whether a machine that shows what one node is registered with comes in without a person, where
       * a boot of it is due. What that is worth is in docs/security.md.
       */
      autoApprove: z.boolean().default(true),
    })
    .prefault({}),
  heartbeatSeconds: z.int().min(1).max(3600).default(30),
  connectionsMax: z.int().min(1).default(120_000),
  /** How long open requests may take to end when the coordinator stops. */
  stopSeconds: z.int().min(0).max(600).default(10),
});
export type Config = z.infer<typeof Config>;
export type ConfigInput = z.input<typeof Config>;

const FLAGS = {
  config: { type: 'string' },
  'state-dir': { type: 'string' },
  listen: { type: 'string' },
  'boot-listen': { type: 'string' },
  url: { type: 'string' },
  'boot-url': { type: 'string' },
  'trust-domain': { type: 'string' },
  name: { type: 'string', multiple: true },
} as const;

/**
 * Flags over the file over defaults. The file has to be there when it is named. CONFIG_INVALID,
 * naming each field; ARGUMENT_INVALID.
 */
export async function loadConfig(args: readonly string[]): Promise<Config> {
  const flags = parseFlags(args);
  const file = await readConfigFile(flags.config);
  return parseConfig({
    ...file,
    ...given('stateDir', flags['state-dir']),
    ...given('listen', flags.listen),
    ...given('bootListen', flags['boot-listen'] === 'none' ? null : flags['boot-listen']),
    ...given('url', flags.url),
    ...given('bootUrl', flags['boot-url']),
    ...given('trustDomain', flags['trust-domain']),
    ...given('names', flags.name),
  });
}

/** CONFIG_INVALID, naming each field that does not fit and each that is unknown. */
export function parseConfig(input: unknown, source = 'the configuration'): Config {
  const parsed = Config.safeParse(input);
  if (parsed.success) return parsed.data;
  const faults = describeFaults(parsed.error);
  throw new BilletError('CONFIG_INVALID', `${source} is not valid: ${faults}`, {
    hint: `the fields are ${Object.keys(Config.shape).join(', ')}`,
  });
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: FLAGS, strict: true }).values;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BilletError('ARGUMENT_INVALID', why, {
      hint: `the flags are ${Object.keys(FLAGS)
        .map((flag) => `--${flag}`)
        .join(', ')}`,
      cause,
    });
  }
}

async function readConfigFile(named: string | undefined): Promise<Record<string, unknown>> {
  const file = named ?? CONFIG_FILE;
  try {
    const value: unknown = parseCommentedJson(await readFile(file, 'utf8'));
    // Strictness is for the whole; here only that it can be spread.
    return z.record(z.string(), z.unknown()).parse(value);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' && named === undefined) return {};
    const why = code ?? 'it is not a JSON object';
    throw new BilletError('CONFIG_INVALID', `cannot read ${file}: ${why}`, {
      hint: 'name a JSON file that exists with --config',
      cause,
    });
  }
}

const given = (key: keyof Config, value: unknown) => (value === undefined ? {} : { [key]: value });

/** Host and port of a `listen` field. */
export function splitListen(listen: string): { readonly host: string; readonly port: number } {
  const colon = listen.lastIndexOf(':');
  const host = listen.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return { host, port: Number(listen.slice(colon + 1)) };
}
