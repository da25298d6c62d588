// The real cosign 2.5 beside `billet`, over a real coordinator's registry: keys, modules, and both
// tools run as a person runs them. cosign gets no network but the loopback and no home but its own.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirOf } from '#shared/build-cache.ts';
import { billet } from '../../cli/testing.ts';
import { peerTools } from '../../setup/build/peer-tools.ts';
import { openLayout } from '../../shared/artifact/oci/layout.ts';
import { putModule } from '../../shared/artifact/signature/testing.ts';
import { systemClock } from '../../shared/clock.ts';
import type { Digest } from '../../shared/digest.ts';
import type { Code } from '../../shared/errors.ts';
import { type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';

export const PASSWORD = 'correct horse';
const TOOL_TIMEOUT_MS = 60_000;
const exec = promisify(execFile);

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Tools {
  readonly dir: string;
  cosign(...args: string[]): Promise<Ran>;
  oras(...args: string[]): Promise<Ran>;
  billet(...args: string[]): Promise<Ran>;
  /** Adds to cosign's environment. */
  environment(more: Readonly<Record<string, string>>): void;
  file(name: string, content: string | Uint8Array): Promise<string>;
  close(): Promise<void>;
}

/** cosign and billet in a directory of their own, without a registry. */
export async function startTools(): Promise<Tools> {
  const dir = await mkdtemp(join(tmpdir(), 'billet-cosign-'));
  const context = { cacheDir: cacheDirOf(process.env), clock: systemClock };
  const tools = await peerTools({ ...context, signal: AbortSignal.timeout(120_000) });
  let env: Record<string, string> = {
    HOME: dir,
    PATH: process.env.PATH ?? '',
    COSIGN_PASSWORD: PASSWORD,
    DOCKER_CONFIG: join(dir, 'docker'),
  };
  const tool = async (file: string, args: readonly string[]): Promise<Ran> => {
    try {
      return { code: 0, ...(await exec(file, args, { cwd: dir, env, timeout: TOOL_TIMEOUT_MS })) };
    } catch (error) {
      const { code, stdout = '', stderr = '' } = error as Partial<Ran>;
      if (typeof code !== 'number') throw error;
      return { code, stdout, stderr };
    }
  };
  await mkdir(join(dir, 'docker'));
  return {
    dir,
    cosign: (...args) => tool(tools.cosign, args),
    oras: (...args) => tool(tools.oras, args),
    billet: (...args) => billet(args, { env }),
    environment(more) {
      env = { ...env, ...more };
    },
    async file(name, content) {
      await writeFile(join(dir, name), content);
      return join(dir, name);
    },
    close: () => rm(dir, { recursive: true, force: true }),
  };
}

export interface Registry extends Tools {
  readonly fixture: Fixture;
  /** Flags with which cosign reaches the registry. */
  readonly flags: readonly string[];
  /** Pushes a module without signatures; `HOST/NAME@DIGEST`, its digest, and its manifest as a file. */
  push(name: string): Promise<PushedModule>;
  /** Attaches a bundle file to an image, as a referrer. */
  attach(image: string, bundle: string): Promise<void>;
}

export interface PushedModule {
  readonly image: string;
  readonly digest: Digest;
  /** As `billet module …` names it. */
  readonly reference: string;
  readonly manifest: string;
}

/** The same, with a coordinator whose registry both are logged in to. */
export async function startRegistry(): Promise<Registry> {
  const tools = await startTools();
  const fixture = await startFixture();
  const host = new URL(fixture.coordinator.url).host;
  const ca = await tools.file('ca.pem', fixture.ca);
  const auth = Buffer.from(`anybody:${fixture.credential}`).toString('base64');
  await tools.file('docker/config.json', JSON.stringify({ auths: { [host]: { auth } } }));
  tools.environment({ BILLET_CONTEXT: fixture.coordinator.adminContextPath });
  return {
    ...tools,
    fixture,
    flags: ['--registry-cacert', ca],
    async push(name) {
      const folder = join(tools.dir, `layout-${name}`);
      await mkdir(folder);
      const layout = await openLayout(folder, { create: true });
      const digest = await putModule(layout, { name, layer: Buffer.from(`layer of ${name}`) });
      const reference = `${name}:1`;
      passed(await tools.billet('module', 'push', `oci:${folder}:${name}`, reference));
      const manifest = await tools.file(`${name}.json`, (await layout.manifest(digest)).bytes);
      return { image: `${host}/${name}@${digest}`, digest, reference, manifest };
    },
    async attach(image, bundle) {
      const type = 'application/vnd.dev.sigstore.bundle.v0.3+json';
      const options = ['--ca-file', ca, '--disable-path-validation', '--artifact-type', type];
      passed(await tools.oras('attach', ...options, image, `${bundle}:${type}`));
    },
    async close() {
      await fixture.close();
      await tools.close();
    },
  };
}

/** Throws with what the tool said, unless it ended well. */
export function passed(ran: Ran): Ran {
  if (ran.code !== 0) throw new Error(`ended with ${ran.code}: ${ran.stderr}${ran.stdout}`);
  return ran;
}

/** Throws unless billet said no, with that code and a hint. */
export function refused(ran: Ran, code: Code = 'SIGNATURE_INVALID'): void {
  const said = ran.stderr.startsWith('{') ? JSON.parse(ran.stderr) : textOf(ran.stderr);
  if (ran.code === 0 || said.code !== code || !said.hint)
    throw new Error(`${code} with a hint is expected, not ${ran.code}: ${ran.stdout}${ran.stderr}`);
}

const textOf = (stderr: string) =>
  /\nhint: (?<hint>.+)\ncode: (?<code>\w+)\n/.exec(stderr)?.groups ?? {};

/** A copy of a JSON file, changed. */
export async function changedJson<T>(
  tools: Tools,
  from: string,
  to: string,
  change: (json: T) => void,
): Promise<string> {
  const json = JSON.parse(await readFile(from, 'utf8')) as T;
  change(json);
  return await tools.file(to, JSON.stringify(json));
}

/** Base64 of bytes of which one bit is another. */
export function flip(base64: string): string {
  const bytes = Buffer.from(base64, 'base64');
  bytes[9] = (bytes[9] ?? 0) ^ 1;
  return bytes.toString('base64');
}

/** What cosign wants to see, to leave sigstore's own roots alone: one that trusts nobody. */
export const EMPTY_ROOT = JSON.stringify({
  mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
});
