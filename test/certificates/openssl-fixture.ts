// Runs the real openssl against what Billet makes: files in a directory, and `openssl s_client`
// against a coordinator in this process (never synchronously: it would wait for itself).

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { routes } from '../../shared/routes/table.ts';
import type { Fixture, TestNode } from '../coordinator/coordinator-fixture.ts';

export interface Said {
  readonly code: number | null;
  /** Both streams. */
  readonly text: string;
}

export interface Openssl {
  readonly path: (name: string) => string;
  readonly write: (name: string, text: string) => string;
  run(...args: readonly string[]): Promise<Said>;
  /** A handshake, and a request over it if there is one. */
  connect(options: Connect): Promise<Said & { readonly status: number | null }>;
  close(): Promise<void>;
}

export interface Connect {
  readonly args?: readonly string[];
  /** The certificate to show: files `<name>.crt` and `<name>.key`. */
  readonly as?: string;
  /** `METHOD /path`. */
  readonly request?: string;
  readonly body?: string;
  /** Typed at s_client instead: `R` renegotiates, `k` updates the keys. */
  readonly commands?: string;
}

const LIMIT_MS = 20_000;

export async function startOpenssl(fixture: Fixture): Promise<Openssl> {
  const dir = await mkdtemp(join(tmpdir(), 'billet-openssl-'));
  const path = (name: string) => join(dir, name);
  const write = (name: string, content: string) => {
    writeFileSync(path(name), content, { mode: 0o600 });
    return path(name);
  };

  async function run(args: readonly string[], input = ''): Promise<Said> {
    const child = spawn('openssl', args, { cwd: dir, timeout: LIMIT_MS });
    child.stdin.on('error', () => undefined).end(input);
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
    return { code: await ended, text: out + errors };
  }

  return {
    path,
    write,
    run: (...args) => run(args),
    async connect({ args = [], as, request, body = '', commands = '' }) {
      write('ca.crt', (await fixture.admin.call(routes.getCa, {}))?.body ?? '');
      const own = as === undefined ? [] : ['-cert', path(`${as}.crt`), '-key', path(`${as}.key`)];
      const peer = ['-connect', `127.0.0.1:${fixture.coordinator.port}`, '-CAfile', path('ca.crt')];
      const head = [
        `${request} HTTP/1.1`,
        'host: coordinator',
        'connection: close',
        'content-type: application/json',
        `content-length: ${Buffer.byteLength(body)}`,
      ];
      const input = request === undefined ? commands : `${head.join('\r\n')}\r\n\r\n${body}`;
      // Until the server closes, when there is an answer to wait for.
      const wait = request === undefined ? [] : ['-ign_eof'];
      const said = await run(['s_client', ...peer, ...own, ...wait, ...args], input);
      const [, status] = /HTTP\/1\.1 (\d{3}) /.exec(said.text) ?? [];
      return { ...said, status: status === undefined ? null : Number(status) };
    },
    close: () => rm(dir, { recursive: true }),
  };
}

/** Key and certificate of a node as files, for `as`. */
export function writeNode({ write }: Openssl, name: string, node: TestNode): void {
  write(`${name}.crt`, node.certificate);
  write(`${name}.key`, node.key.pem);
}
