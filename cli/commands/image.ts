// `billet image …`: boot images, from the trust policy in them to the machines that boot them.

import { Command } from 'commander';
import type { CommandIo } from '../command-io.ts';
import { buildCommand } from './image/build.ts';
import { publishCommand } from './image/publish.ts';
import { pushCommand } from './image/push.ts';
import { signCommand, verifyCommand } from './image/trust.ts';

export function imageCommand(io: CommandIo): Command {
  const command = new Command('image').description(
    'Boot images: build, push, sign, verify and publish them.',
  );
  for (const child of [
    buildCommand(io),
    pushCommand(io),
    signCommand(io),
    verifyCommand(io),
    publishCommand(io),
  ])
    command.addCommand(child);
  return command;
}
