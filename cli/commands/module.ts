// `billet module …`: everything from a folder of files to a signed module in a registry.

import { Command } from 'commander';
import type { CommandIo } from '../command-io.ts';
import { initCommand, packCommand, schemaCommand, sealCommand } from './module/build.ts';
import { inspectCommand, pushCommand } from './module/share.ts';
import { keygenCommand, signCommand, verifyCommand } from './module/trust.ts';

export function moduleCommand(io: CommandIo): Command {
  const command = new Command('module').description(
    'Modules: make, seal, sign, verify, inspect and push them.',
  );
  for (const child of [
    initCommand(io),
    schemaCommand(io),
    packCommand(io),
    sealCommand(io),
    keygenCommand(io),
    signCommand(io),
    verifyCommand(io),
    inspectCommand(io),
    pushCommand(io),
  ])
    command.addCommand(child);
  return command;
}
