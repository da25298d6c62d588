// `billet coordinator restore FILE`: brings a backup back where no coordinator runs. The coordinator's
// own code does it; here are arguments, progress, and what a person has to know afterwards.

import { Command } from 'commander';
import type { Clock } from '#shared/clock.ts';
import type { RestoreReport } from '#shared/restore-report.ts';
import type { CommandIo } from '../command-io.ts';
import { bytes, emit, listing } from '../output.ts';
import { loadPart } from '../part.ts';
import { readPassphrase } from '../passphrase.ts';
import { startProgress } from '../progress.ts';
import { withExamples } from '../remote.ts';

interface RestoreMain {
  runRestore(request: {
    readonly file: string;
    readonly flags: readonly string[];
    readonly passphrase: string | null;
    readonly force: boolean;
    readonly clock: Clock;
    readonly onProgress: (done: number, total: number) => void;
  }): Promise<RestoreReport>;
}

interface RestoreOptions {
  readonly stateDir?: string;
  readonly config?: string;
  readonly passphraseFile?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

export function restoreCommand(io: CommandIo): Command {
  const command = new Command('restore')
    .description('Restore a backup into an empty state directory, while no coordinator runs there.')
    .argument('<file>', 'what `billet coordinator backup` wrote')
    .option('--state-dir <dir>', 'where to (default: that of the configuration)')
    .option('--config <file>', "the coordinator's configuration")
    .option('--passphrase-file <file>', 'its first line opens an encrypted backup')
    .option(
      '--force',
      'although there is a state: what is replaced is moved to replaced-TIME inside',
    )
    .option('--json', 'print JSON for programs')
    .action(async (file: string, options: RestoreOptions) => {
      const { runRestore } = await loadPart<RestoreMain>('backup');
      const { stateDir, config } = options;
      let progress: ReturnType<typeof startProgress> | null = null;
      const report = await runRestore({
        file,
        flags: [
          ...(config === undefined ? [] : ['--config', config]),
          ...(stateDir === undefined ? [] : ['--state-dir', stateDir]),
        ],
        passphrase: await readPassphrase(options.passphraseFile),
        force: options.force === true,
        clock: io.clock,
        onProgress(done, total) {
          io.signal.throwIfAborted();
          progress ??= startProgress(io, 'restoring', total);
          progress.update(done);
        },
      });
      emit(io, options.json === true, report, () => reportLines(report, io.columns));
    });
  return withExamples(
    command,
    'billet coordinator restore /srv/billet.backup --passphrase-file passphrase',
    'billet coordinator restore billet.backup --state-dir /srv/billet --force',
  );
}

function reportLines(report: RestoreReport, width: number): readonly string[] {
  const pairs: [string, string][] = [
    ['restored', `into ${report.stateDir}`],
    ['backup', `of ${report.takenAt}, revision ${report.revision} of history ${report.from}`],
    ['history', report.history],
    ['ca', report.ca],
    ['instances', `${report.instances}; those with newer nodes will wait as \`ahead\``],
    ['tokens', `${report.tokensRevoked} that were open are revoked`],
  ];
  if (report.replaced !== null) pairs.push(['before', `moved to ${report.replaced}`]);
  const missing = report.missingBlobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (report.missingBlobs.length > 0)
    pairs.push([
      'registry',
      `not in the backup: ${report.missingBlobs.length} blobs, ${bytes(missing)} (--json names them); push them again`,
    ]);
  return [
    ...listing(pairs, width),
    '',
    'What was done after the backup is not known here: revoke again what was revoked since.',
    'Next: start the coordinator; then billet status, and billet instance accept ID for what is ahead',
  ];
}
