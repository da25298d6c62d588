// A real coordinator's registry as a user has it, over TLS and behind credentials: bare requests to it,
// tools that are logged in, and small images by hand.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { request } from 'undici';
import { cacheDirOf } from '#shared/build-cache.ts';
import { silentLog } from '../../coordinator/log.ts';
import { startCoordinator } from '../../coordinator/main.ts';
import { peerTools } from '../../setup/build/peer-tools.ts';
import { MEDIA } from '../../shared/artifact/oci/media-types.ts';
import { systemClock } from '../../shared/clock.ts';
import { type Digest, sha256 } from '../../shared/digest.ts';
import { routes } from '../../shared/routes/table.ts';
import { CredentialName } from '../../shared/schema/ids.ts';
import type { Role } from '../../shared/schema/records.ts';
import { bodyOf, type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';

const TOOL_TIMEOUT_MS = 60_000;
const exec = promisify(execFile);

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface Asked {
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
  /** Default: the admin's. Null: none. */
  readonly credential?: string | null;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
}

export interface RegistryFixture {
  readonly fixture: Fixture;
  /** A folder for the test's files. */
  readonly dir: string;
  /** `127.0.0.1:PORT`; another one after a restart. */
  readonly host: string;
  /** Sends one request as it stands. `path` may be a Location of an earlier reply. */
  ask(method: Method, path: string, asked?: Asked): Promise<Reply>;
  /** A new credential of that role. */
  credential(role: Role): Promise<string>;
  /** `login REGISTRY` with that tool and credential; what pulls and pushes after it needs no secret. */
  login(tool: 'skopeo' | 'oras', credential?: string): Promise<void>;
  /** Each resolves to stdout, and rejects with stderr in the message. */
  skopeo(...args: string[]): Promise<string>;
  oras(...args: string[]): Promise<string>;
  /** oras without the options of login and CA, for what has two sides. */
  orasAlone(...args: string[]): Promise<string>;
  umoci(...args: string[]): Promise<string>;
  /** Another coordinator over the same state; `between` runs when none does. */
  restart(between?: () => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

export async function startRegistryFixture(): Promise<RegistryFixture> {
  const fixture = await startFixture();
  const dir = await mkdtemp(join(tmpdir(), 'billet-registry-peer-'));
  const certificates = join(dir, 'certs');
  const authFile = join(dir, 'auth.json');
  await mkdir(certificates);
  const caFile = join(certificates, 'ca.crt');
  await writeFile(caFile, fixture.ca);
  const { agent } = fixture.client();
  const context = { cacheDir: cacheDirOf(process.env), clock: systemClock };
  const { oras } = await peerTools({ ...context, signal: AbortSignal.timeout(300_000) });
  let credentials = 0;

  const tool = async (argv: readonly string[], input = ''): Promise<string> => {
    const [file = '', ...args] = argv;
    const running = exec(file, args, { cwd: dir, timeout: TOOL_TIMEOUT_MS });
    running.child.stdin?.end(input);
    return (await running).stdout;
  };

  const self: RegistryFixture = {
    fixture,
    dir,
    get host() {
      return new URL(fixture.coordinator.url).host;
    },
    async ask(method, path, { headers = {}, body = null, credential = fixture.credential } = {}) {
      const login = credential === null ? {} : { authorization: basic('anybody', credential) };
      const reply = await request(new URL(path, fixture.coordinator.url), {
        dispatcher: agent,
        method,
        headers: { ...login, ...headers },
        body,
      });
      const found = new Headers();
      for (const [name, value = ''] of Object.entries(reply.headers))
        found.set(name, String(value));
      const bytes = Buffer.from(await reply.body.arrayBuffer());
      return { status: reply.statusCode, headers: found, bytes };
    },
    async credential(role) {
      credentials += 1;
      const name = CredentialName.parse(`${role}-${credentials}`);
      const made = await fixture.admin.call(routes.createCredential, { body: { name, role } });
      return bodyOf(made).secret;
    },
    async login(name, credential = fixture.credential) {
      const [program, ca, file] =
        name === 'skopeo'
          ? ['skopeo', ['--cert-dir', certificates], '--authfile']
          : [oras, ['--ca-file', caFile], '--registry-config'];
      const login = ['login', ...ca, file, authFile, '--username', 'anybody', '--password-stdin'];
      await tool([program, ...login, self.host], credential);
    },
    skopeo: (command, ...args) => {
      const sides = command === 'copy' ? ['--src-cert-dir', '--dest-cert-dir'] : ['--cert-dir'];
      const policy = ['skopeo', '--insecure-policy', command ?? ''];
      const options = sides.flatMap((side) => [side, certificates]);
      return tool([...policy, '--authfile', authFile, ...options, ...args]);
    },
    oras: (...args) => tool([oras, ...args, '--ca-file', caFile, '--registry-config', authFile]),
    orasAlone: (...args) => tool([oras, ...args]),
    umoci: (...args) => tool(['umoci', ...args]),
    async restart(between = async () => {}) {
      await fixture.coordinator.stop();
      await between();
      const { stateDir, clock } = fixture;
      const listen = '127.0.0.1:0';
      fixture.coordinator = await startCoordinator(
        { stateDir, listen, bootListen: null, stopSeconds: 1 },
        { clock, log: silentLog },
      );
    },
    async close() {
      await fixture.close();
      await rm(dir, { recursive: true });
    },
  };
  return self;
}

export const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

interface ErrorEntry {
  readonly code: string;
  readonly message: string;
  readonly detail: Record<string, unknown> | null;
}

/** The errors of a body as distribution-spec v1.1, "Error Codes" has it; throws for any other. */
export function errorsOf({ headers, bytes }: Reply): readonly ErrorEntry[] {
  if (!/^application\/json/.test(headers.get('content-type') ?? ''))
    throw new Error(`an error that is ${headers.get('content-type')}: ${bytes}`);
  const { errors } = JSON.parse(bytes.toString()) as { errors: ErrorEntry[] };
  for (const { code, message, detail } of errors)
    if (!/^[A-Z_]+$/.test(code) || message === '' || detail === undefined)
      throw new Error(`not an error of the specification: ${bytes}`);
  return errors;
}

/** Status and codes: what most tests look at. */
export const verdict = (reply: Reply): readonly [number, ...string[]] => [
  reply.status,
  ...new Set(errorsOf(reply).map(({ code }) => code)),
];

export const descriptorOf = (bytes: Uint8Array, mediaType: string = MEDIA.layerTar) => ({
  mediaType,
  digest: sha256(bytes),
  size: bytes.length,
});

/** Pushes in one request (end-4b). */
export async function putBlob(
  { ask }: Pick<RegistryFixture, 'ask'>,
  name: string,
  body: Buffer,
): Promise<Digest> {
  const digest = sha256(body);
  const reply = await ask('POST', `/v2/${name}/blobs/uploads/?digest=${digest}`, { body });
  if (reply.status !== 201) throw new Error(`${reply.status}: ${reply.bytes}`);
  return digest;
}

/** An image manifest's bytes, whose config and layer are pushed. */
export async function imageIn(
  registry: Pick<RegistryFixture, 'ask'>,
  name: string,
  layer: Buffer,
  extra: object = {},
): Promise<Buffer> {
  const config = Buffer.from('{}');
  await putBlob(registry, name, config);
  await putBlob(registry, name, layer);
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: descriptorOf(config, MEDIA.empty),
      layers: [descriptorOf(layer)],
      ...extra,
    }),
  );
}

/** end-7 */
export const putManifest = (
  { ask }: Pick<RegistryFixture, 'ask'>,
  name: string,
  reference: string,
  body: Buffer,
  contentType: string = MEDIA.manifest,
): Promise<Reply> =>
  ask('PUT', `/v2/${name}/manifests/${reference}`, {
    body,
    headers: { 'content-type': contentType },
  });
