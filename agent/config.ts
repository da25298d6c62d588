// The agent's own configuration, /etc/billet/agent.json: where things lie on a system that Billet did
// not boot. Optional and strict, with comments if one likes. What a node should be never stands here.

import { z } from 'zod';
import { parseCommentedJson } from '#shared/commented-json.ts';
import { BilletError } from '#shared/errors.ts';
import { describeFaults } from '#shared/schema/faults.ts';
import { TrustPolicy } from '#shared/schema/trust-policy.ts';
import { readFileOrNull } from './drivers/files.ts';
import { IDENTITY_FILE } from './identity/file.ts';
import { MetadataUrls } from './identity/strategies.ts';

export const CONFIG_FILE = '/etc/billet/agent.json';

const path = z.string().regex(/^\/[^\0]*$/, 'an absolute path');

export const AgentConfig = z.strictObject({
  /** Key, certificate, desired state, journal. */
  stateDir: path.default('/var/lib/billet'),
  /** Objects and images; on a file system with fs-verity, if there is one. */
  storeDir: path.default('/var/lib/billet/store'),
  /** tmpfs. */
  runDir: path.default('/run/billet'),
  /** Who may sign which modules. */
  trustPolicy: path.default('/etc/billet/trust-policy.json'),
  /** Of the last of the sources of identity. */
  identityFile: path.default(IDENTITY_FILE),
  /** Where the metadata services of clouds answer, if not at their link-local addresses. */
  metadata: MetadataUrls.default(MetadataUrls.parse({})),
});
export type AgentConfig = z.infer<typeof AgentConfig>;

/** The defaults without a file. Throws CONFIG_INVALID, naming the field. */
export async function loadConfig(file: string = CONFIG_FILE): Promise<AgentConfig> {
  return (await loadJson(file, AgentConfig, parseCommentedJson)) ?? AgentConfig.parse({});
}

/** Throws CONFIG_INVALID when there is no policy: nothing runs without one. */
export async function loadPolicy(file: string): Promise<TrustPolicy> {
  const policy = await loadJson(file, TrustPolicy, JSON.parse);
  if (policy !== null) return policy;
  throw new BilletError('CONFIG_INVALID', `there is no trust policy ${file}`, {
    hint: `write the public keys that may sign modules to ${file}; docs/security.md shows its form`,
  });
}

async function loadJson<S extends z.ZodType>(
  file: string,
  schema: S,
  parse: (text: string) => unknown,
): Promise<z.infer<S> | null> {
  const bytes = await readFileOrNull(file);
  if (bytes === null) return null;
  const parsed = schema.safeParse(jsonOf(bytes.toString('utf8'), file, parse));
  if (parsed.success) return parsed.data;
  throw invalid(file, describeFaults(parsed.error), parsed.error);
}

function jsonOf(text: string, file: string, parse: (text: string) => unknown): unknown {
  try {
    return parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw invalid(file, `it is not JSON: ${why}`, cause);
  }
}

const invalid = (file: string, why: string, cause: unknown) =>
  new BilletError('CONFIG_INVALID', `${file}: ${why}`, {
    hint: `correct ${file}, then systemctl restart billet-agent`,
    cause,
  });
