// Under which names and URLs a coordinator is reached: what its certificate has to bear, and what
// nodes are told. Pure.

import type { Config } from './config.ts';

const ANY_ADDRESS = new Set(['0.0.0.0', '::']);

/** DNS names and IP addresses for the server's certificate: loopback, `names`, hosts of the URLs. */
export function serverNames(config: Config, listenHost: string): readonly string[] {
  const urls = [config.url, config.bootUrl].flatMap((url) =>
    url === undefined ? [] : [hostOf(url)],
  );
  const own = ANY_ADDRESS.has(listenHost) ? [] : [listenHost];
  return [...new Set([...config.names, ...urls, ...own, 'localhost', '127.0.0.1'])];
}

/** The base URL that others are told: as configured, else of the first name and the real port. */
export function advertisedUrl(
  config: Config,
  scheme: 'https' | 'http',
  listener: { readonly host: string; readonly port: number },
): string {
  const configured = scheme === 'https' ? config.url : config.bootUrl;
  if (configured !== undefined) return configured;
  const host = config.names[0] ?? (ANY_ADDRESS.has(listener.host) ? 'localhost' : listener.host);
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${listener.port}`;
}

const hostOf = (url: string) => new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');
