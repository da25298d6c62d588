// A whole runbook of one template, as Markdown. Text only; asks nobody.

import type { RunbookFacts } from '#shared/schema/runbook.ts';
import { describe } from './describe.ts';
import { code, joined } from './markdown.ts';
import type { LabelledModule } from './modules.ts';
import { phases } from './phases.ts';

export const runbookText = (
  facts: RunbookFacts,
  modules: readonly LabelledModule[],
  made: { readonly url: string; readonly version: string },
): string => {
  const { name, revision } = facts.template;
  return `${joined(
    `# Runbook: ${name}`,
    `Made by Billet ${made.version} at ${facts.at.slice(0, 19)}Z from ${code(made.url)}, revision ${revision} of the template. It says what was true then: make it again after a change with ${code(`billet runbook ${name}`)}. NAME stands for the node, ID for its instance.`,
    describe(facts, modules),
    phases(facts, modules),
  )}\n`;
};
