// Proves to a registry who we are: basic, a given bearer token, or tokens from the registry's token
// service. Source: RFC 9110 §11.6.1 and the distribution project's token authentication. Sends no
// credential to any origin but the registry's and the token service that the registry names.

import { z } from 'zod';
import { BilletError } from '../../errors.ts';
import { failed } from './registry-error.ts';

export type Credentials =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string };

export interface Challenge {
  readonly scheme: 'basic' | 'bearer';
  readonly parameters: Readonly<Record<string, string>>;
}

const TokenReply = z
  .object({ token: z.string().min(1).optional(), access_token: z.string().min(1).optional() })
  .transform((reply) => reply.token ?? reply.access_token);

/** Gets a small JSON document. Throws as the registry client does. */
export type GetJson = (url: URL, headers: Record<string, string>) => Promise<unknown>;

export interface Authenticator {
  /** The header for the next request, or null. */
  header(scope: string): string | null;
  /** Acts on a 401; false if there is nothing more to try. Throws REGISTRY_DENIED. */
  answer(challenge: string | null, scope: string): Promise<boolean>;
}

export function authenticator(
  origin: URL,
  credentials: Credentials | null,
  getJson: GetJson,
): Authenticator {
  const tokens = new Map<string, string>();
  let basic = false;

  const fetchToken = async (parameters: Challenge['parameters'], scope: string) => {
    const url = tokenUrl(origin, parameters, scope);
    const headers =
      credentials?.kind === 'basic' ? { authorization: basicHeader(credentials) } : {};
    const token = TokenReply.safeParse(await getJson(url, headers));
    if (!token.success || token.data === undefined || /[^\x21-\x7e]/.test(token.data))
      throw failed(`the token service ${url.host} sent no token`);
    tokens.set(scope, token.data);
  };

  return {
    header(scope) {
      if (credentials?.kind === 'bearer') return `Bearer ${credentials.token}`;
      const token = tokens.get(scope);
      if (token !== undefined) return `Bearer ${token}`;
      return basic && credentials !== null ? basicHeader(credentials) : null;
    },
    async answer(text, scope) {
      if (credentials?.kind === 'bearer') return false;
      const challenges = parseChallenges(text ?? '');
      const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
      if (bearer !== undefined) {
        await fetchToken(bearer.parameters, scope);
        return true;
      }
      const offered = challenges.some(({ scheme }) => scheme === 'basic');
      if (!offered || basic || credentials === null) return false;
      basic = true;
      return true;
    },
  };
}

function tokenUrl(origin: URL, parameters: Challenge['parameters'], scope: string): URL {
  const { realm = '', service } = parameters;
  if (!URL.canParse(realm)) throw failed(`the registry ${origin.host} names no token service`);
  const url = new URL(realm);
  const downgrade = url.protocol !== 'https:' && url.protocol !== origin.protocol;
  if (downgrade || url.username !== '')
    throw new BilletError('REGISTRY_DENIED', `the token service ${url.origin} is not HTTPS`, {
      hint: 'mend the realm of the registry: credentials are sent to HTTPS only',
    });
  if (service !== undefined) url.searchParams.set('service', service);
  url.searchParams.set('scope', parameters.scope ?? scope);
  return url;
}

function basicHeader(credentials: Extract<Credentials, { kind: 'basic' }>): string {
  const pair = `${credentials.username}:${credentials.password}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

/** Reads `Bearer realm="…",service="…", Basic realm="…"`. Schemes that are not known are left out. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const token = /[!#$%&'*+.^_`|~\w-]+/.source;
  const part = new RegExp(
    `\\s*,?\\s*(?:(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))|(${token})(?=\\s|,|$))`,
    'y',
  );
  for (
    let match = part.exec(header);
    match !== null && match[0] !== '';
    match = part.exec(header)
  ) {
    const [, key, quoted, bare, scheme] = match;
    if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase(), parameters: {} });
    const current = challenges.at(-1);
    if (key !== undefined && current !== undefined)
      current.parameters[key.toLowerCase()] = quoted?.replaceAll(/\\(.)/g, '$1') ?? bare ?? '';
  }
  return challenges.filter(
    (challenge): challenge is Challenge =>
      challenge.scheme === 'basic' || challenge.scheme === 'bearer',
  );
}
