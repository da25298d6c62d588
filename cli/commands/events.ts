// `billet events [--follow] [--after N]`.

import { Command } from 'commander';
import { z } from 'zod';
import type { Event } from '#shared/schema/records.ts';
import type { CommandIo } from '../command-io.ts';
import { eventFeed } from '../event-feed.ts';
import { clean, jsonText } from '../output.ts';
import {
  parseArgument,
  type RemoteOptions,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';

interface EventsOptions extends RemoteOptions {
  readonly follow?: boolean;
  readonly after?: string;
  readonly subject?: string;
}

const Revision = z.coerce.number().int().nonnegative();

export function eventsCommand(io: CommandIo): Command {
  const command = new Command('events')
    .description('Show what happened, oldest first. With --json, one JSON object a line.')
    .option('-f, --follow', 'go on with what happens, until Ctrl-C; resumes when the link breaks')
    .option('--after <revision>', 'only what came after that revision')
    .option('--subject <subject>', 'only of one subject: node/NAME, instance/ID or task/ID');
  withRemoteOptions(command).action((options: EventsOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const after =
        options.after === undefined ? undefined : parseArgument(Revision, options.after, '--after');
      const { follow = false, subject } = options;
      for await (const event of eventFeed(io, coordinator, { after, follow, subject }))
        io.stdout.write(
          `${options.json === true ? jsonText(event) : eventLine(event, io.columns)}\n`,
        );
    }),
  );
  return withExamples(
    command,
    'billet events',
    'billet events --follow --subject instance/i-0123456789abcdef',
    'billet events --follow --after 1200 --json',
  );
}

/** `revision time kind subject text`, cut to the width. */
export function eventLine(event: Event, width: number): string {
  const time = event.at.slice(0, 19).replace('T', ' ');
  const line = clean(
    `${String(event.revision).padStart(6)}  ${time}  ${event.kind}  ${event.subject}  ${event.text}`,
  );
  return line.length <= width ? line.trimEnd() : `${line.slice(0, width - 1)}…`;
}
