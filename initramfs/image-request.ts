// What `billet image build` was asked for, checked before anything is built: minutes are not spent on
// what cannot be used.

import { readFile } from 'node:fs/promises';
import { parsePolicy, trustFor } from '#shared/artifact/signature/policy.ts';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { BootImageInfo } from '#shared/schema/boot-image-info.ts';
import { BootImage } from '#shared/schema/desired.ts';
import { describeFaults } from '#shared/schema/faults.ts';
import { DEFAULT_COMMAND_LINE } from './medium.ts';
import { openSigner, type Signer } from './secure-boot.ts';

/** As given on the command line: text, and nothing checked yet. */
export interface ImageRequest {
  readonly policy: string;
  readonly architecture: string;
  readonly name: string;
  readonly sequence?: string | undefined;
  readonly version?: string | undefined;
  readonly builtAt?: string | undefined;
  readonly coordinator?: string | undefined;
  readonly ca?: string | undefined;
  readonly commandLine?: string | undefined;
  readonly secureBootKey?: string | undefined;
  readonly secureBootCert?: string | undefined;
}

export interface CheckedRequest {
  readonly trustPolicy: string;
  readonly info: Partial<Omit<BootImageInfo, 'format'>>;
  readonly commandLine: string;
  readonly signer: Signer | undefined;
  /** What will not stop the build, and what the image will lack. */
  readonly warnings: readonly string[];
}

const X86_64 = ['amd64', 'x86_64', 'x86-64'];
/** GRUB puts a backslash before these, and the kernel takes it as it is. */
const SPOILT_BY_GRUB = /['"\\]/;

/** Throws ARGUMENT_INVALID, POLICY_INVALID, UNSUPPORTED, SECURE_BOOT_…. */
export async function checkRequest(request: ImageRequest, clock: Clock): Promise<CheckedRequest> {
  if (!X86_64.includes(request.architecture))
    throw new BilletError('UNSUPPORTED', `no boot image is made for ${request.architecture} yet`, {
      hint: `machines that boot it have x86-64 processors: --architecture ${X86_64[0]}`,
    });
  const info = infoOf(request);
  return {
    trustPolicy: request.policy,
    info,
    commandLine: commandLineOf(request.commandLine ?? DEFAULT_COMMAND_LINE),
    signer: await signerOf(request, clock),
    warnings: await policyWarnings(request.policy, request.name),
  };
}

function infoOf({ name, sequence, version, builtAt, coordinator, ca }: ImageRequest) {
  const given = {
    name,
    ...(sequence === undefined
      ? {}
      : { sequence: /^\d+$/.test(sequence) ? Number(sequence) : sequence }),
    ...(version === undefined ? {} : { version }),
    ...(builtAt === undefined ? {} : { builtAt }),
    ...(coordinator === undefined ? {} : { coordinator }),
    ...(ca === undefined ? {} : { ca }),
  };
  // In the place of what the build fills in.
  const filled = {
    format: 1,
    sequence: 1,
    version: '0.0.0',
    builtAt: '2000-01-01T00:00:00Z',
    ...given,
  };
  const parsed = BootImageInfo.safeParse(filled);
  if (parsed.success)
    return Object.fromEntries(
      Object.entries(parsed.data).filter(([key]) => key in given),
    ) as CheckedRequest['info'];
  throw invalid(describeFaults(parsed.error), '`billet image build --help` says what each is');
}

function commandLineOf(text: string): string {
  const words = text.trim().replace(/ +/g, ' ');
  if (!BootImage.shape.commandLine.safeParse(words).success || SPOILT_BY_GRUB.test(words))
    throw invalid(
      `the command line ${JSON.stringify(text)} is not printable ASCII without quotes and backslashes`,
      'GRUB would alter it on its way to the kernel: choose words without them, at most 1024 characters',
    );
  return words;
}

async function signerOf(request: ImageRequest, clock: Clock): Promise<Signer | undefined> {
  const { secureBootKey: key, secureBootCert: certificate } = request;
  if (key === undefined && certificate === undefined) return undefined;
  if (key !== undefined && certificate !== undefined)
    return await openSigner({ key, certificate }, clock);
  throw invalid(
    `--secure-boot-${key === undefined ? 'key' : 'cert'} is missing`,
    'give both, the key and its certificate, or neither',
  );
}

/** Throws POLICY_INVALID: every node of the image will enforce it. */
async function policyWarnings(file: string, name: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw invalid(`the trust policy ${file} cannot be read: ${cause.code}`, 'name a file', cause);
  });
  const policy = parsePolicy(jsonOf(text, file), file);
  const warnings = [];
  if (policy.mode !== 'enforce')
    warnings.push(`the trust policy has mode ${policy.mode}: nodes run what nobody signed`);
  if (trustFor(policy, name) === null)
    warnings.push(
      `the trust policy names nobody for ${name}: nodes of this image will take no other boot image`,
    );
  return warnings;
}

function jsonOf(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new BilletError('POLICY_INVALID', `the trust policy ${file} is not JSON`, {
      hint: 'check it with `jq . FILE`',
      cause,
    });
  }
}

const invalid = (message: string, hint: string, cause?: unknown): BilletError =>
  new BilletError('ARGUMENT_INVALID', message, { hint, cause });
