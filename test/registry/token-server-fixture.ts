// A token server of the tests' own, after the distribution project's "Token Authentication Specification"
// and its "Token Authentication Implementation" (JWT): it signs with a real key whose certificate the
// registry trusts. What it grants, and for how long, a test decides.

import { createPrivateKey, randomUUID, sign, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { systemClock } from '../../shared/clock.ts';

export const SERVICE = 'registry.test';
export const ISSUER = 'tests of Billet';

export interface KeyFiles {
  readonly crt: string;
  readonly key: string;
}

export interface TokenServer {
  /** Of each request that got a token: who asked, and for what. */
  readonly issued: readonly { readonly user: string | null; readonly scopes: readonly string[] }[];
  /** `auth.token` of docker-registry's configuration. */
  readonly config: object;
  /** Of the tokens from now on; the registry allows a minute of clock skew on top. */
  lifeSeconds: number;
  /** Who signs from now on; the registry trusts the first one only. */
  signer: KeyFiles;
  /** Which of the scopes asked for are granted. */
  grants: (scope: string) => boolean;
  token(scopes: readonly string[]): string;
  /** No more connections, until `start` on the same port. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** `keys` signs; its certificate serves HTTPS as well. Without the right password: 401. */
export async function startTokenServer(
  t: TestContext,
  keys: KeyFiles,
  login: { readonly username: string; readonly password: string },
): Promise<TokenServer> {
  const expected = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
  const issued: { user: string | null; scopes: string[] }[] = [];
  let port = 0;
  const listen = async () => {
    const tls = { key: readFileSync(keys.key), cert: readFileSync(keys.crt) };
    const server = createServer(tls, (request, response) => {
      const url = new URL(request.url ?? '', 'https://token.invalid');
      const { authorization } = request.headers;
      if (authorization !== undefined && authorization !== expected)
        return response.writeHead(401).end('{"details":"incorrect username or password"}');
      const scopes = url.searchParams.getAll('scope');
      if (url.searchParams.get('service') !== SERVICE) return response.writeHead(400).end();
      const user = authorization === undefined ? null : login.username;
      issued.push({ user, scopes });
      // A client that believed it would not notice by itself when the token runs out.
      const reply = { token: self.token(user === null ? [] : scopes), expires_in: 3600 };
      response.writeHead(200, { 'content-type': 'application/json' });
      return response.end(JSON.stringify(reply));
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
    return async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    };
  };
  let close: (() => Promise<void>) | null = await listen();

  const self: TokenServer = {
    issued,
    lifeSeconds: 300,
    signer: keys,
    grants: () => true,
    get config() {
      const realm = `https://127.0.0.1:${port}/token`;
      return { token: { realm, service: SERVICE, issuer: ISSUER, rootcertbundle: keys.crt } };
    },
    token(scopes) {
      const now = Math.floor(systemClock.now() / 1000);
      const access = scopes.filter((scope) => self.grants(scope)).map(accessOf);
      const claims = {
        iss: ISSUER,
        sub: login.username,
        aud: SERVICE,
        nbf: now - 600,
        iat: now,
        exp: now + self.lifeSeconds,
        jti: randomUUID(),
        access,
      };
      return jwt(claims, self.signer);
    },
    async stop() {
      await close?.();
      close = null;
    },
    async start() {
      close = await listen();
    },
  };
  t.after(() => self.stop());
  return self;
}

/** `repository:team/web:pull,push` */
function accessOf(scope: string) {
  const [type = '', ...rest] = scope.split(':');
  const actions = rest.pop()?.split(',') ?? [];
  return { type, name: rest.join(':'), actions };
}

/** RFC 7515 §3.1 with ES256 (RFC 7518 §3.4), the certificate in `x5c` (RFC 7515 §4.1.6). */
function jwt(claims: object, { crt, key }: KeyFiles): string {
  const certificate = new X509Certificate(readFileSync(crt));
  const header = { typ: 'JWT', alg: 'ES256', x5c: [certificate.raw.toString('base64')] };
  const encoded = [header, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  const signed = encoded.join('.');
  const privateKey = createPrivateKey(readFileSync(key));
  const signature = sign('sha256', Buffer.from(signed), {
    key: privateKey,
    dsaEncoding: 'ieee-p1363',
  });
  return `${signed}.${signature.toString('base64url')}`;
}
