// `enroll` as a person runs it on a machine that Billet did not boot: who this machine is comes from
// words and files, the trust policy is put into its place, and the service is started.

import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { BilletError } from '#shared/errors.ts';
import { type AgentConfig, loadPolicy } from './config.ts';
import { execOrThrow, hostExec } from './drivers/exec.ts';
import { exists, writeFileAtomic } from './drivers/files.ts';
import { enroll } from './enroll.ts';
import type { ShownClaim } from './identity/claim.ts';
import { parseIdentityJson } from './identity/identity-json.ts';
import type { IdentityStrategy, IdentityValues } from './identity/strategy.ts';
import type { AgentIo } from './io.ts';

/** Secrets come in files or on stdin: other users can read a process's arguments. */
export interface EnrollWords {
  /** JSON as `billet token create --write` makes it; `-` is stdin. */
  readonly identity?: string | undefined;
  readonly coordinator?: string | undefined;
  readonly ca?: string | undefined;
  readonly instance?: string | undefined;
  /** The token on its first line; `-` is stdin. */
  readonly 'token-file'?: string | undefined;
  /** Copied to where the configuration has the trust policy. */
  readonly policy?: string | undefined;
  readonly 'no-start'?: boolean | undefined;
}

const SERVICE = 'billet-agent.service';
const BOOTED_BY_SYSTEMD = '/run/systemd/system';
/** Of this machine's packages, or of its administrator. */
const UNIT_DIRS = ['/usr/lib/systemd/system', '/etc/systemd/system'];

/**
 * Enrolls, and starts the service where there is one. What was valid before stays. The trust policy is
 * looked at first, since a token can be used only once. Throws CONFIG_INVALID, ARGUMENT_INVALID, what
 * enrollment throws, COMMAND_FAILED when the service does not come up.
 */
export async function enrollByHand(
  config: AgentConfig,
  words: EnrollWords,
  io: AgentIo,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const strategy = given(words);
  const starts = words['no-start'] !== true && (await hasService());
  const policy = words.policy === undefined ? null : await loadPolicy(words.policy);
  if (policy === null && starts) await loadPolicy(config.trustPolicy);

  const who = { strategy, onClaim: showClaim(say) };
  const { how, credentials } = await enroll(config, who, io, signal);
  say(`${credentials.identity.instance}: certificate ${how}`);

  if (policy !== null && words.policy !== undefined) {
    // Its bytes as they are, so that a person finds again what they wrote.
    await writeFileAtomic(config.trustPolicy, await readFile(words.policy));
    say(`trust policy: ${config.trustPolicy}`);
  }
  if (!starts) return;
  const hint = `journalctl -u ${SERVICE} -n 50`;
  await execOrThrow(hostExec, ['systemctl', 'restart', SERVICE], signal, hint);
  say(`${SERVICE} runs: billet-agent status`);
}

/** To the person at the machine: what an operator types, and what they compare. */
export const showClaim =
  (say: (line: string) => void) =>
  ({ code, key }: ShownClaim): void => {
    say(`waits for an operator: billet claim approve ${code} --node NAME`);
    say(`  the key that they have to see there: ${key}`);
  };

async function hasService(): Promise<boolean> {
  if (!(await exists(BOOTED_BY_SYSTEMD))) return false;
  const found = await Promise.all(UNIT_DIRS.map((dir) => exists(`${dir}/${SERVICE}`)));
  return found.includes(true);
}

/** Null leaves it to the usual sources of a machine. Throws ARGUMENT_INVALID for a mixture. */
function given(words: EnrollWords): IdentityStrategy | null {
  const { identity, coordinator, ca, instance } = words;
  const tokenFile = words['token-file'];
  const single = [coordinator, ca, instance, tokenFile].some((word) => word !== undefined);
  if (identity !== undefined && single)
    throw new BilletError('ARGUMENT_INVALID', '--identity has all that the other words have', {
      hint: 'give --identity FILE, or --coordinator and --ca with --instance and --token-file',
    });
  if (identity === undefined && !single) return null;
  return {
    name: identity === undefined ? 'command line' : 'file',
    place: '--coordinator, --ca, --instance and --token-file, or --identity',
    async read(): Promise<IdentityValues> {
      if (identity !== undefined)
        return parseIdentityJson(await contentOf(identity), named(identity));
      const token = tokenFile === undefined ? undefined : firstLine(await contentOf(tokenFile));
      const values = { coordinator, ca, instance, token };
      return Object.fromEntries(
        Object.entries(values).filter(([, value]) => value !== undefined),
      ) as IdentityValues;
    },
  };
}

const firstLine = (content: string): string => (content.split('\n')[0] ?? '').trim();
const named = (file: string): string => (file === '-' ? 'stdin' : file);

async function contentOf(file: string): Promise<string> {
  try {
    return file === '-' ? await text(process.stdin) : await readFile(file, 'utf8');
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new BilletError('ARGUMENT_INVALID', `cannot read ${named(file)}: ${why}`, {
      hint: 'name a file that exists, or - for stdin',
      cause,
    });
  }
}
