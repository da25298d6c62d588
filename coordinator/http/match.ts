// From a method and a path to a row of the route table. Knows no handler.

import type { Route } from '#shared/routes/route.ts';

export interface Match {
  readonly name: string;
  readonly route: Route;
  /** As they stand in the path, percent-decoded. */
  readonly params: Readonly<Record<string, string>>;
}

export type Matcher = (method: string, path: string) => Match | { readonly allow: string[] } | null;

/** Literal segments win over parameters. Null: no such path; `allow`: other methods have it. */
export function routeMatcher(routes: Readonly<Record<string, Route>>): Matcher {
  const rows = Object.entries(routes)
    .map(([name, route]) => ({ name, route, segments: route.path.split('/') }))
    .sort((a, b) => parameters(a.segments) - parameters(b.segments));

  return (method, path) => {
    const given = path.split('/');
    const fitting = rows.flatMap((row) => {
      const params = fit(row.segments, given);
      return params ? [{ name: row.name, route: row.route, params }] : [];
    });
    const wanted = method === 'HEAD' ? 'GET' : method;
    const found = fitting.find((row) => row.route.method === wanted);
    if (found) return found;
    if (fitting.length === 0) return null;
    const allow = fitting.flatMap(({ route }) =>
      route.method === 'GET' ? ['GET', 'HEAD'] : [route.method],
    );
    return { allow: [...new Set(allow)] };
  };
}

const parameters = (segments: readonly string[]) =>
  segments.filter((one) => one.startsWith('{')).length;

function fit(segments: readonly string[], given: readonly string[]): Record<string, string> | null {
  if (segments.length !== given.length) return null;
  const params: Record<string, string> = {};
  for (const [at, segment] of segments.entries()) {
    const value = given[at] ?? '';
    if (segment.startsWith('{')) {
      const decoded = decode(value);
      if (decoded === null) return null;
      params[segment.slice(1, -1)] = decoded;
    } else if (segment !== value) return null;
  }
  return params;
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
