// `billet runbook TEMPLATE`: what to do with nodes of a template, phase by phase, made from what the
// template really is.

import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { BilletError } from '#shared/errors.ts';
import { routes } from '#shared/routes/table.ts';
import { ResourceName } from '#shared/schema/ids.ts';
import { VERSION } from '#shared/version.ts';
import type { CommandIo } from '../command-io.ts';
import { jsonText } from '../output.ts';
import {
  parseArgument,
  type RemoteOptions,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';
import { readModules } from '../runbook/modules.ts';
import { runbookText } from '../runbook/text.ts';

export function runbookCommand(io: CommandIo): Command {
  const command = new Command('runbook')
    .description(
      'Write a runbook of a template as Markdown: its real modules, probes, settings, classes and deadlines, and the command for each phase.',
    )
    .argument('<template>', 'name of the template')
    .option('-o, --output <file>', 'write it there instead of printing it');
  withRemoteOptions(command).action(
    (text: string, options: RemoteOptions & { output?: string }) => {
      const params = { name: parseArgument(ResourceName, text, 'template') };
      return withCoordinator(io, options, async (coordinator) => {
        const facts = await coordinator.call(routes.getRunbookFacts, { params });
        const modules = await readModules(io, coordinator, facts.template.spec.modules);
        const { url } = coordinator.context;
        const runbook =
          options.json === true
            ? `${jsonText({ ...facts, modules }, 2)}\n`
            : runbookText(facts, modules, { url, version: VERSION });
        if (options.output === undefined) io.stdout.write(runbook);
        else await write(options.output, runbook);
      });
    },
  );
  return withExamples(
    command,
    'billet runbook edge-base > edge-base.md',
    'billet runbook edge-base --output runbooks/edge-base.md',
  );
}

async function write(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code;
    throw new BilletError('ARGUMENT_INVALID', `cannot write ${file}: ${why}`, {
      hint: 'name a file in a directory that exists, where you may write',
      cause,
    });
  }
}
