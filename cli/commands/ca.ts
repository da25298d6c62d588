// `billet ca show|rotate|retire|trust`: the certificate authority, and its replacement by another.

import { Command } from 'commander';
import { Digest } from '#shared/digest.ts';
import { routes } from '#shared/routes/table.ts';
import type { CaState } from '#shared/schema/records.ts';
import type { CommandIo } from '../command-io.ts';
import { loadContext } from '../context.ts';
import { pinnedCa, trustAuthorities, writeContextFile } from '../context-trust.ts';
import { type Column, emit, listing, table } from '../output.ts';
import {
  parseArgument,
  type RemoteOptions,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';

const WAITING: readonly Column<CaState['waiting'][number]>[] = [
  { header: 'NODE', value: ({ node }) => node, shrinks: true },
  { header: 'INSTANCE', value: ({ instance }) => instance },
  { header: 'LAST SEEN', value: ({ lastSeenAt }) => lastSeenAt?.slice(0, 16) ?? 'never' },
];

export function caCommand(io: CommandIo): Command {
  const command = new Command('ca').description(
    'The certificate authority. To replace it: rotate, wait until nobody depends on the old one, retire.',
  );
  addShow(command, io);
  addRotate(command, io);
  addRetire(command, io);
  addTrust(command, io);
  return command;
}

function addShow(parent: Command, io: CommandIo): void {
  const show = parent
    .command('show')
    .description('Show the CAs that are trusted, and which instances a rotation waits for.');
  withRemoteOptions(show).action((options: RemoteOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const state = await coordinator.call(routes.getCaState, {});
      await trustAuthorities(io, coordinator, state);
      emit(io, options.json === true, state, () => stateLines(state, io.columns));
    }),
  );
  withExamples(show, 'billet ca show', 'billet ca show --json');
}

function addRotate(parent: Command, io: CommandIo): void {
  const rotate = parent
    .command('rotate')
    .description(
      'Let a new CA issue. The old one stays trusted, so that nodes which are off now come back.',
    );
  withRemoteOptions(rotate).action((options: RemoteOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const state = await coordinator.call(routes.rotateCa, { body: {} });
      await trustAuthorities(io, coordinator, state);
      emit(io, options.json === true, state, () => [
        ...stateLines(state, io.columns),
        '',
        'Nodes that are on renew within minutes. Boot parameters that name the old CA',
        'serve until it is retired. Next: billet ca show, then billet ca retire',
      ]);
    }),
  );
  withExamples(rotate, 'billet ca rotate');
}

function addRetire(parent: Command, io: CommandIo): void {
  const retire = parent
    .command('retire')
    .description('End the rotation: the old CA is trusted no more, and its key is deleted.')
    .option('--force', 'although instances depend on it: each of them then needs a token', false);
  withRemoteOptions(retire).action((options: RemoteOptions & { force: boolean }) =>
    withCoordinator(io, options, async (coordinator) => {
      const body = { force: options.force };
      const state = await coordinator.call(routes.retireCa, { body });
      await trustAuthorities(io, coordinator, state);
      emit(io, options.json === true, state, () => stateLines(state, io.columns));
    }),
  );
  withExamples(retire, 'billet ca retire', 'billet ca retire --force');
}

function addTrust(parent: Command, io: CommandIo): void {
  const trust = parent
    .command('trust')
    .description(
      'Let a context trust the CA of this fingerprint, where it missed a whole rotation.',
    )
    .argument('<fingerprint>', 'sha256:…, as `billet ca show` prints it for somebody else');
  withRemoteOptions(trust).action(async (text: string, options: RemoteOptions) => {
    const fingerprint = parseArgument(Digest, text, 'fingerprint');
    const { file, url, credential } = await loadContext(io, options.context);
    const ca = await pinnedCa(io, url, fingerprint);
    await writeContextFile(file, { url, ca, credential });
    emit(io, options.json === true, { context: file, ca: fingerprint }, () => [
      `${file} trusts ${fingerprint}`,
    ]);
  });
  withExamples(trust, 'billet ca trust "$FINGERPRINT" --context ops.json');
}

function stateLines(state: CaState, columns: number): readonly string[] {
  const authorities = state.authorities.flatMap(
    ({ fingerprint, state: role, subject, notAfter }): [string, string][] => [
      [role, fingerprint],
      ['', `${subject}, until ${notAfter.slice(0, 10)}`],
    ],
  );
  const lines = listing([...authorities, ['since', state.since]], columns);
  if (state.authorities.length < 2) return lines;
  const { waiting, waitingCount } = state;
  const more = waitingCount > waiting.length ? [`and ${waitingCount - waiting.length} more`] : [];
  return [
    ...lines,
    '',
    ...table(waiting, WAITING, columns, 'nobody depends on the previous CA: billet ca retire'),
    ...more,
  ];
}
