// The command line `billet`, from arguments to exit code. Loads the code of a command only when it
// is the one that was asked for, so that --help is quick.

import { Command } from 'commander';
import { VERSION } from '#shared/version.ts';
import type { CommandIo } from './command-io.ts';
import { reportFailure } from './failure.ts';
import { COMMANDS, type CommandRow } from './table.ts';

const EPILOGUE = `
Exit codes: 0 done, 1 failed, 2 the command line is wrong, 3 no such thing,
4 refused, 5 nobody answered (try again), 6 blocked: nothing to do it with,
130 interrupted.

Examples:
  billet status
  billet node create web-1 --module base:stable --boot-image boot:stable
  billet instance create web-1
  billet events --follow
  billet module init --help`;

/** Runs one command. Never throws; what went wrong stands on stderr. Returns the exit code. */
export async function runBillet(args: readonly string[], io: CommandIo): Promise<number> {
  const json = args.slice(0, args.indexOf('--') >>> 0).includes('--json');
  try {
    const program = await buildProgram(args, io);
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    return reportFailure(error, io, json);
  }
}

async function buildProgram(args: readonly string[], io: CommandIo): Promise<Command> {
  const program = new Command('billet')
    .description('Take machines from power-on to running, verified members of a fleet.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help of a command')
    .addHelpText('after', EPILOGUE)
    // So that `billet coordinator` may hand its flags on as they are.
    .enablePositionalOptions()
    .exitOverride()
    .configureHelp({ helpWidth: io.columns, sortSubcommands: false })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      // reportFailure prints errors, with their hint and code.
      outputError: () => undefined,
      getOutHelpWidth: () => io.columns,
      getErrHelpWidth: () => io.columns,
      getOutHasColors: () => io.colour,
      getErrHasColors: () => io.colour,
    });
  const asked = args.find((word) => !word.startsWith('-') && word !== 'help');
  for (const row of COMMANDS)
    program.addCommand(row.name === asked ? await row.load(io) : onlyListed(row));
  for (const command of program.commands) inherit(command, program);
  return program;
}

/** Enough for the list of commands; the one that was asked for is loaded whole. */
const onlyListed = ({ name, summary }: CommandRow) => new Command(name).description(summary);

/** commander copies settings only to commands made with .command(). */
function inherit(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(child, command);
}
