// docker-registry 2.8, started by hand on loopback with TLS and a login; nodes that pull from it as
// agents do, and what they pull: sealed modules.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Agent } from 'undici';
import { cacheDirOf } from '#shared/build-cache.ts';
import { moduleSource } from '../../agent/link/module-source.ts';
import type { Session } from '../../agent/link/session.ts';
import { type Workshop, workshop } from '../../agent/store/module-fixture.ts';
import { openStore } from '../../agent/store/open-store.ts';
import type { Store } from '../../agent/store/store.ts';
import { peerTools } from '../../setup/build/peer-tools.ts';
import { openRegistry, type Registry } from '../../shared/artifact/oci/registry.ts';
import type { Credentials } from '../../shared/artifact/oci/registry-auth.ts';
import { type Clock, systemClock } from '../../shared/clock.ts';
import { ModuleRef } from '../../shared/schema/module.ts';

export const LOGIN = { kind: 'basic', username: 'node', password: 'correct horse' } as const;

/** The real time, with pauses that do not take any: tries follow each other at once. */
export const HASTY: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 20), signal),
};

export interface DockerRegistry {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** Its own certificate, which nobody else trusts. */
  readonly ca: string;
  /** A client that pushes and pulls with Billet's own code. */
  open(repository: string, credentials?: Credentials, chunkBytes?: number): Registry;
}

/** A certificate for 127.0.0.1 with its key, signed by itself: files `NAME.crt` and `NAME.key`. */
export function selfSigned(dir: string, name: string): { crt: string; key: string } {
  const [crt, key] = [join(dir, `${name}.crt`), join(dir, `${name}.key`)];
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-days', '2', '-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'],
      ...['-keyout', key, '-out', crt],
    ],
    { stdio: 'pipe' },
  );
  return { crt, key };
}

/** bcrypt, the one form that docker-registry takes. */
export function htpasswd(file: string): void {
  execFileSync('htpasswd', ['-iBc', '-C', '5', file, LOGIN.username], {
    input: LOGIN.password,
    stdio: 'pipe',
  });
}

export async function temporaryFolder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'billet-docker-registry-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** `auth` as the `auth` of its configuration file; `tls` with the certificate of `selfSigned`. */
export async function startDockerRegistry(
  t: TestContext,
  { auth, tls }: { readonly auth: object; readonly tls: { crt: string; key: string } },
): Promise<DockerRegistry> {
  const dir = await temporaryFolder(t);
  const tools = await peerTools({
    cacheDir: cacheDirOf(process.env),
    clock: systemClock,
    signal: AbortSignal.timeout(300_000),
  });
  const config = {
    version: '0.1',
    log: { level: 'info', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(dir, 'data') }, delete: { enabled: true } },
    http: { addr: '127.0.0.1:0', secret: 's', tls: { certificate: tls.crt, key: tls.key } },
    auth,
  };
  const file = join(dir, 'config.yml');
  await writeFile(file, JSON.stringify(config)); // JSON is YAML
  const child = spawn(tools['docker-registry'], ['serve', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const host = await new Promise<string>((resolve, reject) => {
    let text = '';
    const read = (chunk: Buffer) => {
      text = `${text}${chunk}`.slice(-10_000);
      const [, found] = /listening on (127\.0\.0\.1:\d+)/.exec(text) ?? [];
      if (found !== undefined) resolve(found);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', () => reject(new Error(text)));
  });
  const ca = await readFile(tls.crt, 'utf8');
  const dispatcher = new Agent({ connect: { ca } });
  t.after(() => dispatcher.destroy());
  const clients = { clock: HASTY, random: () => 0, dispatcher, foreignDispatcher: dispatcher };
  return {
    host,
    ca,
    open: (repository, credentials = LOGIN, chunkBytes = 0) =>
      openRegistry({ ...clients, origin: `https://${host}`, repository, credentials, chunkBytes }),
  };
}

export interface PullingNode {
  readonly store: Store;
  /** The folder of an agent's state: `registries/` is what an operator puts there. */
  readonly stateDir: string;
  readonly source: ReturnType<typeof moduleSource>;
  /** What `skopeo login --authfile` writes, with mode 0600. */
  login(host: string, entry: object): Promise<void>;
  trust(host: string, ca: string): Promise<void>;
  /** As the reconcile loop does it. */
  pull(ref: ModuleRef, policy: Workshop['policy']): ReturnType<Store['ensureModule']>;
}

/** An agent's pulling half: its store and its registry access, with nothing put there yet. */
export async function pullingNode(
  t: TestContext,
  session: () => Session = () => {
    throw new Error('this node has no coordinator');
  },
): Promise<PullingNode> {
  const dir = await temporaryFolder(t);
  const stateDir = join(dir, 'state');
  const registries = join(stateDir, 'registries');
  await mkdir(registries, { recursive: true });
  const store = await openStore({ dir: join(dir, 'store') });
  t.after(() => store.close());
  const source = moduleSource({ session, stateDir, clock: HASTY, random: () => 0 });
  return {
    store,
    stateDir,
    source,
    async login(host, entry) {
      const content = JSON.stringify({ auths: { [host]: entry } });
      await writeFile(join(registries, 'auth.json'), content, { mode: 0o600 });
    },
    async trust(host, ca) {
      await mkdir(join(registries, 'certs.d', host), { recursive: true });
      await writeFile(join(registries, 'certs.d', host, 'ca.crt'), ca);
    },
    pull: (ref, policy) =>
      store.ensureModule(ref, {
        source: source(ref),
        policy,
        floor: undefined,
        exempt: new Set(),
        signal: AbortSignal.timeout(60_000),
      }),
  };
}

type Login = Readonly<Record<'username' | 'password', string>>;

/** The entry of a user in an authentication file. */
export const passwordEntry = ({ username, password }: Login = LOGIN) => ({
  auth: Buffer.from(`${username}:${password}`).toString('base64'),
});

/** A sealed module of some files in a layout, signed in the `.sig` form. */
export async function sealedModule(t: TestContext, name = 'web') {
  const shop = await workshop(t);
  const files = { 'srv/small': 'hello', 'srv/large': Buffer.alloc(3_000_000, name) };
  return { shop, ref: await shop.make({ name, files }) };
}

export const at = (ref: ModuleRef, host: string, repository: string): ModuleRef =>
  ModuleRef.parse({ ...ref, repository: `${host}/${repository}` });
