// How a plan looks to a person: one line a step, or the differences as a unified diff of documents,
// within the terminal's width. Text only.

import { stringify } from 'yaml';
import type { Kind } from '#shared/schema/catalog.ts';
import { clean, shortDigest } from '../output.ts';
import { unifiedDiff } from './diff.ts';
import { kindName } from './document.ts';
import type { Plan, Step } from './plan.ts';

type Spec = Readonly<Record<string, unknown>>;

const SIGNS = { create: '+', change: '~', delete: '-' } as const;
const RED = '\u001b[31m';
const GREEN = '\u001b[32m';
const CYAN = '\u001b[36m';
const BOLD = '\u001b[1m';
const OFF = '\u001b[0m';

/** A document as it can be applied again: what is empty or null is left out, as it is by default. */
export const documentText = (kind: Kind, name: string, spec: Spec): string =>
  stringify({ kind: kindName(kind), name, spec: sparse(spec) }, { lineWidth: 0 });

/** `+ Template edge-base` */
export const stepLines = ({ steps }: Plan, width: number): readonly string[] =>
  steps.map(({ action, kind, name }) => cut(`${SIGNS[action]} ${kindName(kind)} ${name}`, width));

export const summary = ({ steps, same }: Plan): string => {
  const count = (action: Step['action']) => steps.filter((step) => step.action === action).length;
  return `${count('create')} to create, ${count('change')} to change, ${count('delete')} to delete, ${same} as written`;
};

/** The differences of each step, as `diff -u` of its documents. */
export const diffLines = (
  { steps }: Plan,
  { columns, colour }: { readonly columns: number; readonly colour: boolean },
): readonly string[] =>
  steps.flatMap((step) => {
    const { kind, name } = step;
    const paint = (code: string, text: string) =>
      colour ? `${code}${cut(text, columns)}${OFF}` : cut(text, columns);
    const [before, after] = [
      step.action === 'create' ? [] : linesOf(kind, name, step.before),
      step.action === 'delete' ? [] : linesOf(kind, name, step.spec),
    ];
    const where = `${kindName(kind)}/${name}`;
    return [
      paint(BOLD, `--- ${step.action === 'create' ? '/dev/null' : where}`),
      paint(BOLD, `+++ ${step.action === 'delete' ? '/dev/null' : where}`),
      ...unifiedDiff(before, after).map(({ sign, text }) => {
        if (sign === '@') return paint(CYAN, text);
        const line = `${sign}${clean(text)}`;
        return sign === ' ' ? cut(line, columns) : paint(sign === '+' ? GREEN : RED, line);
      }),
    ];
  });

const linesOf = (kind: Kind, name: string, spec: Spec): readonly string[] =>
  documentText(kind, name, spec)
    .trimEnd()
    .replace(/sha256:[0-9a-f]{64}/g, (digest) => `${shortDigest(digest)}…`)
    .split('\n');

/** Without fields that are null or empty: that is what each of them is by default. */
const sparse = (spec: Spec): Spec =>
  Object.fromEntries(Object.entries(spec).filter(([, value]) => !isEmpty(value)));

const isEmpty = (value: unknown): boolean =>
  value === null || value === '' || (typeof value === 'object' && Object.keys(value).length === 0);

const cut = (text: string, width: number) =>
  text.length <= width ? text : `${text.slice(0, width - 1)}…`;
