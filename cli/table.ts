// The commands of `billet`: names and summaries here, code loaded when it is asked for.

import type { Command } from 'commander';
import type { CommandIo } from './command-io.ts';

export interface CommandRow {
  readonly name: string;
  readonly summary: string;
  load(io: CommandIo): Promise<Command>;
}

export const COMMANDS: readonly CommandRow[] = [
  {
    name: 'status',
    summary: 'show nodes, instances, connections and tasks in numbers',
    load: async (io) => (await import('./commands/status.ts')).statusCommand(io),
  },
  {
    name: 'node',
    summary: 'create, list, show, change and delete nodes',
    load: async (io) => (await import('./commands/node.ts')).nodeCommand(io),
  },
  {
    name: 'instance',
    summary: 'create, list, show, boot and terminate instances of nodes',
    load: async (io) => (await import('./commands/instance.ts')).instanceCommand(io),
  },
  {
    name: 'task',
    summary: 'give an instance something to do once, and follow it',
    load: async (io) => (await import('./commands/task.ts')).taskCommand(io),
  },
  {
    name: 'events',
    summary: 'show what happened, and follow what happens',
    load: async (io) => (await import('./commands/events.ts')).eventsCommand(io),
  },
  {
    name: 'claim',
    summary: 'list, show, approve and deny machines that ask to be let in',
    load: async (io) => (await import('./commands/claim.ts')).claimCommand(io),
  },
  {
    name: 'token',
    summary: 'create, list and revoke bootstrap tokens',
    load: async (io) => (await import('./commands/token.ts')).tokenCommand(io),
  },
  {
    name: 'credential',
    summary: 'create, list and delete credentials of people and programs',
    load: async (io) => (await import('./commands/credential.ts')).credentialCommand(io),
  },
  {
    name: 'certificate',
    summary: 'revoke the certificate of an instance',
    load: async (io) => (await import('./commands/certificate.ts')).certificateCommand(io),
  },
  {
    name: 'ca',
    summary: 'show, rotate and retire the certificate authority',
    load: async (io) => (await import('./commands/ca.ts')).caCommand(io),
  },
  {
    name: 'module',
    summary: 'make, seal, sign, verify, inspect and push modules',
    load: async (io) => (await import('./commands/module.ts')).moduleCommand(io),
  },
  {
    name: 'verify-blob',
    summary: 'check the signature of any artifact',
    load: async (io) => (await import('./commands/verify-blob.ts')).verifyBlobCommand(io),
  },
  {
    name: 'image',
    summary: 'push a boot image: kernel and initramfs',
    load: async (io) => (await import('./commands/image.ts')).imageCommand(io),
  },
  {
    name: 'agent',
    summary: 'run the agent of this machine, and ask it',
    load: async (io) => (await import('./commands/agent.ts')).agentCommand(io),
  },
  {
    name: 'composefs',
    summary: 'digest, image and dump of a file tree, to compare with other tools',
    load: async (io) => (await import('./commands/composefs.ts')).composefsCommand(io),
  },
  {
    name: 'coordinator',
    summary: 'run the coordinator',
    load: async (io) => (await import('./commands/coordinator.ts')).coordinatorCommand(io),
  },
  {
    name: 'version',
    summary: 'print the version of billet and of the Node that runs it',
    load: async (io) => (await import('./commands/version.ts')).versionCommand(io),
  },
];
