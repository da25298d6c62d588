// The generated parts of docs/wire.md: the tables of routes, errors and markers, made from the same
// tables that the programs read. Text only; setup/docs.ts writes the file, a test finds it stale.

import { CODES } from '#shared/error-codes.ts';
import { MARKERS } from '#shared/markers.ts';
import type { Route } from '#shared/routes/route.ts';
import { routes } from '#shared/routes/table.ts';

const SECTIONS: Readonly<Record<string, () => string>> = {
  routes: routeTable,
  errors: errorTable,
  markers: markerTable,
};

/** The page with each part between `<!-- generated: NAME -->` and `<!-- end -->` made anew. */
export function withGeneratedParts(page: string): string {
  return page.replace(
    /(<!-- generated: (\w+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, open: string, name: string, close: string) => {
      const section = SECTIONS[name];
      if (section === undefined) throw new Error(`no generated part is called ${name}`);
      return `${open}\n${section()}\n\n${close}`;
    },
  );
}

function routeTable(): string {
  return markdownTable(
    ['method', 'path', 'caller', 'what it does', 'reply'],
    sortedRoutes().map((route) => [
      route.method,
      `\`${route.path}\``,
      route.caller,
      route.summary,
      `${route.status ?? 200}${route.form === undefined ? '' : `, ${FORMS[route.form]}`}`,
    ]),
  );
}

const sortedRoutes = (): readonly Route[] =>
  Object.values<Route>(routes).sort((a, b) =>
    `${a.path} ${a.method}` < `${b.path} ${b.method}` ? -1 : 1,
  );

const FORMS = {
  events: 'server-sent events',
  socket: 'WebSocket',
  text: 'text',
  bytes: 'a file',
} as const;

function errorTable(): string {
  return markdownTable(
    ['code', 'status', 'try again', 'what it means'],
    Object.entries(CODES).map(([code, { status, retry, meaning }]) => [
      `\`${code}\``,
      String(status),
      retry ? 'yes' : 'no',
      meaning,
    ]),
  );
}

function markerTable(): string {
  return markdownTable(
    ['stage', 'what it says'],
    Object.entries(MARKERS).map(([stage, meaning]) => [`\`${stage}\``, meaning]),
  );
}

function markdownTable(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(headers), line(headers.map(() => '---')), ...rows.map(line)].join('\n');
}
