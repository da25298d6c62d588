// The commands of `billet`: names and summaries here, code loaded when it is asked for.

import type { Command } from 'commander';
import type { CatalogKind } from '#shared/schema/catalog.ts';
import type { CommandIo } from './command-io.ts';

export interface CommandRow {
  readonly name: string;
  readonly summary: string;
  load(io: CommandIo): Promise<Command>;
}

const resource = async (io: CommandIo, kind: CatalogKind): Promise<Command> => {
  const [{ resourceCommand }, { CATALOG }] = await Promise.all([
    import('./commands/resource.ts'),
    import('./views/resource.ts'),
  ]);
  return resourceCommand(io, CATALOG[kind]);
};

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
    summary: 'provision, list, show, boot and terminate instances of nodes',
    load: async (io) => (await import('./commands/instance.ts')).instanceCommand(io),
  },
  {
    name: 'apply',
    summary: 'bring records to what YAML documents say, and show the plan first',
    load: async (io) => (await import('./commands/apply.ts')).applyCommand(io),
  },
  {
    name: 'template',
    summary: 'list, show and delete templates: what nodes are made of',
    load: (io) => resource(io, 'template'),
  },
  {
    name: 'runbook',
    summary: 'write what to do with nodes of a template, phase by phase',
    load: async (io) => (await import('./commands/runbook.ts')).runbookCommand(io),
  },
  {
    name: 'class',
    summary: 'list, show and delete classes: how machines are had and installed',
    load: (io) => resource(io, 'class'),
  },
  {
    name: 'pool',
    summary: 'list, show and delete pools: nodes of one class',
    load: (io) => resource(io, 'pool'),
  },
  {
    name: 'platform',
    summary: 'list, show and delete platforms: families of boot images',
    load: (io) => resource(io, 'platform'),
  },
  {
    name: 'publication',
    summary: 'create, publish and retire boot images of platforms',
    load: async (io) => (await import('./commands/publication.ts')).publicationCommand(io),
  },
  {
    name: 'architecture',
    summary: 'list, show and delete architectures',
    load: (io) => resource(io, 'architecture'),
  },
  {
    name: 'region',
    summary: 'list, show and delete regions of providers',
    load: (io) => resource(io, 'region'),
  },
  {
    name: 'instance-type',
    summary: 'list, show and delete instance types of providers',
    load: (io) => resource(io, 'instance-type'),
  },
  {
    name: 'provider',
    summary: 'list who makes machines, and what was left at them',
    load: async (io) => (await import('./commands/provider.ts')).providerCommand(io),
  },
  {
    name: 'capacity',
    summary: 'show what providers, regions and pools can still take',
    load: async (io) => (await import('./commands/capacity.ts')).capacityCommand(io),
  },
  {
    name: 'task',
    summary: 'give an instance something to do once, and follow it',
    load: async (io) => (await import('./commands/task.ts')).taskCommand(io),
  },
  {
    name: 'signal',
    summary: 'list, show, acknowledge, approve and dismiss what sensors noticed',
    load: async (io) => (await import('./commands/signal.ts')).signalCommand(io),
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
    name: 'bundle',
    summary: 'push and sign flakes of NixOS systems',
    load: async (io) => (await import('./commands/bundle.ts')).bundleCommand(io),
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
    summary: 'build, push, sign, verify and publish boot images',
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
    name: 'simulate',
    summary: 'measure a coordinator with a fleet of simulated agents',
    load: async (io) => (await import('./commands/simulate.ts')).simulateCommand(io),
  },
  {
    name: 'hardware-smoke',
    summary: 'try a machine from power-on to ready, and keep the evidence',
    load: async (io) => (await import('./commands/hardware-smoke.ts')).hardwareSmokeCommand(io),
  },
  {
    name: 'work',
    summary: 'keep the disk that builds and attempts use within a budget',
    load: async (io) => (await import('./commands/work.ts')).workCommand(io),
  },
  {
    name: 'version',
    summary: 'print the version of billet and of the Node that runs it',
    load: async (io) => (await import('./commands/version.ts')).versionCommand(io),
  },
];
