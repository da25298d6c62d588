// `billet claim list|show|approve|deny`: machines that ask to be let in without a token.

import { Command } from 'commander';
import { routes } from '#shared/routes/table.ts';
import { type Claim, ClaimCode } from '#shared/schema/claim.ts';
import { NodeName } from '#shared/schema/ids.ts';
import { listAll } from '../client.ts';
import type { CommandIo } from '../command-io.ts';
import { emit, table } from '../output.ts';
import {
  parseArgument,
  type RemoteOptions,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';
import { claimColumns, claimLines } from '../views/claim.ts';

const CODE = 'the code on the console of the machine, e.g. 7K3M-Q2XT';

export function claimCommand(io: CommandIo): Command {
  const command = new Command('claim').description(
    'Claims: machines without a token. Read the code from the console of the machine itself: who asks can say of himself what he likes.',
  );
  addList(command, io);
  addShow(command, io);
  addApprove(command, io);
  addDeny(command, io);
  return command;
}

function addList(parent: Command, io: CommandIo): void {
  const list = parent.command('list').description('List claims that wait or were just answered.');
  withRemoteOptions(list).action((options: RemoteOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const claims = await listAll<Claim>((page) =>
        coordinator.call(routes.listClaims, { query: page }),
      );
      emit(io, options.json === true, claims, () =>
        table(claims, claimColumns(io.clock.now()), io.columns, 'no claims'),
      );
    }),
  );
  withExamples(list, 'billet claim list');
}

function addShow(parent: Command, io: CommandIo): void {
  const show = parent
    .command('show')
    .description('Show one claim, to compare code and key with the console of the machine.')
    .argument('<code>', CODE);
  withRemoteOptions(show).action((text: string, options: RemoteOptions) => {
    const params = { code: parseArgument(ClaimCode, text, 'code') };
    return withCoordinator(io, options, async (coordinator) => {
      const claim = await coordinator.call(routes.getClaim, { params });
      emit(io, options.json === true, claim, () => claimLines(claim, io.columns));
    });
  });
  withExamples(show, 'billet claim show 7K3M-Q2XT');
}

type ApproveOptions = RemoteOptions & { node: string; replace?: boolean };

function addApprove(parent: Command, io: CommandIo): void {
  const approve = parent
    .command('approve')
    .description('Let the machine be a node; its instance is made if the node has none.')
    .argument('<code>', CODE)
    .requiredOption('--node <name>', 'which node it is to be')
    .option('--replace', 'also where a machine has enrolled as that node: its certificates end');
  withRemoteOptions(approve).action((text: string, options: ApproveOptions) => {
    const params = { code: parseArgument(ClaimCode, text, 'code') };
    const node = parseArgument(NodeName, options.node, '--node');
    return withCoordinator(io, options, async (coordinator) => {
      const body = { node, replace: options.replace === true };
      const claim = await coordinator.call(routes.approveClaim, { params, body });
      emit(io, options.json === true, claim, () => [
        `the machine with the key ${claim.key} may be ${node}`,
        `It enrolls by itself, until ${claim.expiresAt}.`,
        `Next: billet events --follow --subject instance/${claim.decision?.instance}`,
      ]);
    });
  });
  withExamples(
    approve,
    'billet claim approve 7K3M-Q2XT --node web-1',
    'billet claim approve 7k3mq2xt --node web-1 --replace',
  );
}

function addDeny(parent: Command, io: CommandIo): void {
  const deny = parent
    .command('deny')
    .description('Refuse a claim; that machine is refused for a quarter of an hour.')
    .argument('<code>', CODE);
  withRemoteOptions(deny).action((text: string, options: RemoteOptions) => {
    const params = { code: parseArgument(ClaimCode, text, 'code') };
    return withCoordinator(io, options, async (coordinator) => {
      const claim = await coordinator.call(routes.denyClaim, { params });
      emit(io, options.json === true, claim, () => [`claim ${claim.code} is denied`]);
    });
  });
  withExamples(deny, 'billet claim deny 7K3M-Q2XT');
}
