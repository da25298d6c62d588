// Renders the systemd unit of a service from the module's signed label. Every text of the label is
// quoted as systemd.syntax(7) says, so that none of it can become a directive. Writes nothing.

import { BilletError } from '#shared/errors.ts';
import type { ModuleLabel, Service } from '#shared/schema/module.ts';
import type { UnitFile } from '../drivers/units.ts';

export interface UnitRequest {
  readonly label: ModuleLabel;
  readonly service: Service;
  /** Where the module's image is mounted. */
  readonly root: string;
  /** JSON of the module's settings, readable for its services. */
  readonly settingsPath: string;
  /** Which of OPTIONAL_TARGETS exist in the root: a bind mount needs a place there. */
  readonly targets: ReadonlySet<string>;
}

/** Directories that the sandbox mounts over; a read-only root has to bring them. */
export const REQUIRED_TARGETS = ['/dev', '/proc', '/run', '/sys', '/tmp', '/var/tmp'] as const;
export const STATE_TARGET = '/var/lib';
/** Files of the node that a service sees where its root has them. */
export const OPTIONAL_TARGETS = ['/etc/resolv.conf', '/etc/hosts', '/etc/localtime'] as const;

/** LONG_LINE_MAX of systemd; a longer line is an error there. */
const LINE_MAX = 1024 * 1024;

export const unitName = (label: Pick<ModuleLabel, 'name'>, service: Pick<Service, 'name'>) =>
  `billet-${label.name}-${service.name}.service`;

/** Throws MODULE_INVALID for what no unit can say: a relative program, a NUL, a line over 1 MiB. */
export function renderUnit(request: UnitRequest): UnitFile {
  const { label, service } = request;
  const lines = [
    '# Written by billet-agent from the signed label of the module. Changes are lost.',
    '[Unit]',
    `Description=${specifiers(`Billet module ${label.name} ${label.version}: ${service.name}`)}`,
    'After=network.target',
    'StartLimitIntervalSec=60',
    'StartLimitBurst=5',
    '',
    '[Service]',
    ...execution(request),
    ...identity(service),
    ...directories(label, service),
    ...filesystem(request),
    ...SANDBOX,
  ];
  const text = `${lines.join('\n')}\n`;
  const long = lines.find((line) => Buffer.byteLength(line) >= LINE_MAX);
  if (long !== undefined) throw invalid(request, `${long.slice(0, 40)}… is over 1 MiB`);
  return { name: unitName(label, service), text };
}

function execution(request: UnitRequest): string[] {
  const { service } = request;
  const [program = '', ...args] = service.exec;
  if (!/^\/(?!.*(?:^|\/)\.\.?(?:\/|$))/.test(program))
    throw invalid(request, `exec starts with ${JSON.stringify(program)}, no absolute path`);
  const texts = [...service.exec, ...Object.values(service.environment)];
  if (texts.some((text) => text.includes('\0'))) throw invalid(request, 'a text contains a NUL');
  // ':' before the program switches off the substitution of $VARIABLES.
  const argv = [`:${program}`, ...args].map(quoted).join(' ');
  return [
    `Type=${service.type}`,
    ...(service.type === 'oneshot'
      ? ['RemainAfterExit=yes']
      : ['Restart=on-failure', 'RestartSec=1']),
    `ExecStart=${argv}`,
    ...Object.entries(service.environment).map(
      ([key, value]) => `Environment=${quoted(`${key}=${value}`)}`,
    ),
    'TimeoutStartSec=90',
    `TimeoutStopSec=${service.stopTimeoutSeconds}`,
    ...(service.memoryMaxBytes === undefined ? [] : [`MemoryMax=${service.memoryMaxBytes}`]),
  ];
}

function identity({ user, capabilities }: Service): string[] {
  const names = capabilities.join(' ');
  return [
    // An empty value drops all of them.
    `CapabilityBoundingSet=${names}`,
    ...(user === 'dynamic' ? ['DynamicUser=yes', `AmbientCapabilities=${names}`] : ['User=root']),
  ];
}

/** `host:name` gives the service the short name; the host's has the module in it. */
function directories(label: ModuleLabel, service: Service): string[] {
  const named = (name: string) => `billet-${label.name}-${name}:${name}`;
  return [
    ...(service.runtimeDirectory === undefined
      ? []
      : [`RuntimeDirectory=${named(service.runtimeDirectory)}`]),
    ...(service.stateDirectory === undefined
      ? []
      : [
          `TemporaryFileSystem=${STATE_TARGET}:mode=0755`,
          `StateDirectory=${named(service.stateDirectory)}`,
        ]),
  ];
}

function filesystem({ root, settingsPath, targets }: UnitRequest): string[] {
  const seen = OPTIONAL_TARGETS.filter((target) => targets.has(target));
  return [
    `RootDirectory=${specifiers(root)}`,
    'MountAPIVFS=yes',
    ...seen.map((path) => `BindReadOnlyPaths=-${path}`),
    'BindReadOnlyPaths=-/run/systemd/journal/socket -/run/systemd/journal/stdout',
    `BindReadOnlyPaths=${specifiers(settingsPath)}`,
    `Environment=${quoted(`BILLET_SETTINGS=${settingsPath}`)}`,
  ];
}

/** The same for every service: what a module may not ask for. systemd.exec(5), "Sandboxing". */
const SANDBOX = [
  'NoNewPrivileges=yes',
  'ProtectSystem=strict',
  'ProtectHome=yes',
  'PrivateTmp=yes',
  'PrivateDevices=yes',
  'PrivateMounts=yes',
  'ProtectClock=yes',
  'ProtectControlGroups=yes',
  'ProtectHostname=yes',
  'ProtectKernelLogs=yes',
  'ProtectKernelModules=yes',
  'ProtectKernelTunables=yes',
  'ProtectProc=invisible',
  'LockPersonality=yes',
  'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
  'RestrictNamespaces=yes',
  'RestrictRealtime=yes',
  'RestrictSUIDSGID=yes',
  'SystemCallArchitectures=native',
  'SystemCallFilter=@system-service',
  'SystemCallErrorNumber=EPERM',
  'KeyringMode=private',
  'UMask=0027',
];

const specifiers = (text: string): string => text.replaceAll('%', '%%');

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '"': '\\"',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** One item in double quotes: C escapes, and % doubled against specifiers. */
function quoted(text: string): string {
  const escaped = [...text].map((character) => {
    const code = character.codePointAt(0) ?? 0;
    const control = code < 0x20 || code === 0x7f;
    return (
      ESCAPES[character] ??
      (control ? `\\x${code.toString(16).padStart(2, '0')}` : character.toWellFormed())
    );
  });
  return `"${specifiers(escaped.join(''))}"`;
}

function invalid({ label, service }: UnitRequest, why: string): BilletError {
  return new BilletError('MODULE_INVALID', `service ${service.name} of ${label.name}: ${why}`, {
    hint: 'correct module.json, then seal and sign the module again',
    details: { module: label.name, service: service.name },
  });
}
