// Flags of `billet node create` and `billet node set` to a node's spec. Asks the registry what tags
// mean now; changes nothing.

import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { BilletError } from '#shared/errors.ts';
import { LifecycleClass } from '#shared/schema/class.ts';
import type { BootImage } from '#shared/schema/desired.ts';
import { describeFaults } from '#shared/schema/faults.ts';
import type { ModuleRef } from '#shared/schema/module.ts';
import { NodeSpec } from '#shared/schema/records.ts';
import { collect, parseArgument } from './remote.ts';

export interface SpecOptions {
  readonly file?: string;
  readonly module?: readonly string[];
  readonly removeModule?: readonly string[];
  readonly bootImage?: string;
  readonly mac?: readonly string[];
  readonly uuid?: string;
  readonly serial?: string;
  readonly assetTag?: string;
  readonly claimBy?: string;
  readonly hostname?: string;
  readonly timezone?: string;
  readonly sshKey?: readonly string[];
  readonly label?: readonly string[];
  readonly metadata?: readonly string[];
  readonly template?: string;
  readonly class?: string;
  readonly pool?: string;
  readonly region?: string;
  readonly instanceType?: string;
  readonly lifecycle?: string;
  readonly withoutModule?: readonly string[];
}

/** What tags mean now. */
export interface Resolve {
  module(reference: string): Promise<ModuleRef>;
  bootImage(reference: string): Promise<BootImage>;
}

export const withSpecOptions = (command: Command): Command =>
  command
    .option('-f, --file <file>', 'start from this JSON spec; the other options change it')
    .option('--template <name>', 'what it is made of; what follows goes over it')
    .option('--class <name>', 'its class: how its machine is had and installed')
    .option('--pool <name>', 'pool that it is of')
    .option('--region <name>', "where its machine is (default: its pool's, or its class's)")
    .option('--instance-type <name>', 'size of its machine (default likewise)')
    .option('--lifecycle <class>', `${LifecycleClass.options.join(', ')} (default likewise)`)
    .option('--module <ref>', 'module: REPOSITORY[:TAG|@DIGEST]; again for more', collect)
    .option('--remove-module <name>', 'take an own module away; again for more', collect)
    .option('--without-module <name>', 'module of its template to go without', collect)
    .option('--boot-image <ref>', 'kernel and initramfs: REPOSITORY[:TAG|@DIGEST]')
    .option('--mac <mac>', 'MAC address that it boots with; again for more', collect)
    .option('--uuid <uuid>', 'SMBIOS system UUID of the machine')
    .option('--serial <text>', 'SMBIOS serial number of the machine; "" takes it away')
    .option('--asset-tag <text>', 'SMBIOS asset tag of its chassis; "" takes it away')
    .option('--claim-by <who>', 'who lets it in by these: identifier (default), or person')
    .option('--hostname <name>', 'host name (default: the name of the node)')
    .option('--timezone <zone>', 'time zone, e.g. Europe/Berlin')
    .option(
      '--ssh-key <file>',
      'file of public keys for root, for emergencies; again for more',
      collect,
    )
    .option('--label <key=value>', 'label; KEY= takes it away; again for more', collect)
    .option('--metadata <key=value>', 'for people; KEY= takes it away; again for more', collect);

/** Throws ARGUMENT_INVALID, naming the field, when the result is no valid spec. */
export async function specOf(
  options: SpecOptions,
  current: NodeSpec,
  resolve: Resolve,
): Promise<NodeSpec> {
  const base = options.file === undefined ? current : await readSpec(options.file);
  const modules = await modulesOf(options, base.modules, resolve);
  const keys = await sshKeysOf(options.sshKey ?? []);
  const { hostname, timezone } = options;
  const named = (text: string | undefined, before: string | null) =>
    text === undefined ? before : text || null;
  return parseArgument(
    NodeSpec,
    {
      ...base,
      template: named(options.template, base.template),
      class: named(options.class, base.class),
      pool: named(options.pool, base.pool),
      region: named(options.region, base.region),
      instanceType: named(options.instanceType, base.instanceType),
      lifecycleClass: named(options.lifecycle, base.lifecycleClass),
      withoutModules: options.withoutModule ?? base.withoutModules,
      modules,
      bootImage: options.bootImage ? await resolve.bootImage(options.bootImage) : base.bootImage,
      macs: options.mac ?? base.macs,
      dmiUuid: named(options.uuid?.toLowerCase(), base.dmiUuid),
      serial: named(options.serial, base.serial),
      assetTag: named(options.assetTag, base.assetTag),
      claimBy: options.claimBy ?? base.claimBy,
      labels: pairsOf('--label', options.label ?? [], base.labels),
      metadata: pairsOf('--metadata', options.metadata ?? [], base.metadata),
      settings: {
        ...base.settings,
        ...(hostname === undefined ? {} : { hostname }),
        ...(timezone === undefined ? {} : { timezone }),
        ...(keys.length === 0 ? {} : { sshKeys: keys }),
      },
    },
    'the node',
  );
}

/** Throws ARGUMENT_INVALID. */
async function readSpec(file: string): Promise<NodeSpec> {
  const text = await readText(file);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new BilletError('ARGUMENT_INVALID', `${file} is not JSON: ${messageOf(cause)}`, {
      hint: 'start from `billet node show NAME --json`, its "spec"',
      cause,
    });
  }
  const parsed = NodeSpec.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new BilletError(
    'ARGUMENT_INVALID',
    `${file} is no node spec: ${describeFaults(parsed.error)}`,
    { hint: 'start from `billet node show NAME --json`, its "spec"' },
  );
}

/** A module takes the place of the one with its name. */
async function modulesOf(
  { module = [], removeModule = [] }: SpecOptions,
  before: readonly ModuleRef[],
  resolve: Resolve,
): Promise<readonly ModuleRef[]> {
  const byName = new Map<string, ModuleRef>(before.map((ref) => [ref.name, ref]));
  for (const name of removeModule)
    if (!byName.delete(name))
      throw new BilletError('ARGUMENT_INVALID', `the node has no module ${name}`, {
        hint: `it has: ${[...byName.keys()].join(', ') || 'none'}`,
      });
  for (const reference of module) {
    const ref = await resolve.module(reference);
    byName.set(ref.name, ref);
  }
  return [...byName.values()];
}

async function sshKeysOf(files: readonly string[]): Promise<string[]> {
  const texts = await Promise.all(files.map(readText));
  return texts.flatMap((text) =>
    text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#')),
  );
}

function pairsOf(
  option: string,
  words: readonly string[],
  before: Readonly<Record<string, string>>,
): Record<string, string> {
  const pairs = { ...before };
  for (const word of words) {
    const equals = word.indexOf('=');
    if (equals < 1)
      throw new BilletError(
        'ARGUMENT_INVALID',
        `${option} ${JSON.stringify(word)} has no KEY=VALUE`,
        {
          hint: `${option} rack=b7`,
        },
      );
    const [key, value] = [word.slice(0, equals), word.slice(equals + 1)];
    if (value === '') delete pairs[key];
    else pairs[key] = value;
  }
  return pairs;
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new BilletError('ARGUMENT_INVALID', `cannot read ${file}: ${messageOf(cause)}`, {
      hint: 'name a file that exists',
      cause,
    });
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
