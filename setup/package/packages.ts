// Which Debian packages there are, and what each holds. Data; the builder fills them.

import { AGENT_ENTRIES } from '../build/agent-bundle.ts';
import type { ControlFields } from './control.ts';

/** Where all of it lies; the runtime is one for all packages of a machine. */
export const LIBRARY = '/usr/lib/billet';

export type PackageName = 'billet-runtime' | 'billet' | 'billet-agent' | 'billet-coordinator';

interface PackageRecipe
  extends Pick<ControlFields, 'section' | 'depends' | 'summary' | 'description'> {
  readonly name: PackageName;
  /** Bundles by name of their file in LIBRARY, without `.mjs`: entry in the tree. */
  readonly bundles?: Readonly<Record<string, string>>;
  /** Files by where they go: path in the tree. Those below /usr/bin and /usr/sbin are programs. */
  readonly files?: Readonly<Record<string, string>>;
  /** Packed with gzip, as Debian Policy 12.1 has manual pages: path in the tree. */
  readonly manuals?: Readonly<Record<string, string>>;
  /** Files of other packages whose change its postinst is told of (deb-triggers(5)). */
  readonly interests?: readonly string[];
  /** Maintainer scripts in setup/package/debian, by the package's name. */
  readonly scripts?: readonly ('postinst' | 'prerm' | 'postrm')[];
}

/** Marks places of versions that only the build knows. */
export const THIS_VERSION = '{version}';
export const RUNTIME_VERSION = '{runtime}';

export const RUNTIME_PATH = `${LIBRARY}/node`;

const RUNTIME = `billet-runtime (>= ${RUNTIME_VERSION})`;
const DEBIAN = 'setup/package/debian';
const SERVICE_SCRIPTS = ['postinst', 'prerm', 'postrm'] as const;

export const PACKAGES: readonly PackageRecipe[] = [
  {
    name: 'billet-runtime',
    section: 'javascript',
    // The libraries that the binary names are added by dpkg-shlibdeps(1).
    depends: [],
    files: { '/usr/share/lintian/overrides/billet-runtime': `${DEBIAN}/billet-runtime.overrides` },
    summary: 'JavaScript runtime of Billet',
    description: [
      'Node.js as the other packages of Billet need it, in a place of its own, so that no other' +
        ' Node.js is touched or in its way. It changes only when Node.js does.',
    ],
  },
  {
    name: 'billet',
    section: 'admin',
    depends: [RUNTIME],
    bundles: { billet: 'cli/main.ts' },
    files: { '/usr/bin/billet': `${DEBIAN}/billet.sh` },
    manuals: { '/usr/share/man/man1/billet.1': `${DEBIAN}/billet.1` },
    summary: 'fleet of verified machines: command line',
    description: [
      'Billet takes a machine from power-on to a running, verified member of a fleet, and keeps it' +
        ' there.',
      'This package has the command by which operators and programs speak to a coordinator, make,' +
        ' sign and push modules, and watch what happens.',
    ],
  },
  {
    name: 'billet-agent',
    section: 'admin',
    depends: [
      RUNTIME,
      // mount(2) of images has the kernel ask for its modules.
      'kmod',
      // OpenFile=
      'systemd (>= 253)',
      // deb-systemd-helper, deb-systemd-invoke
      'init-system-helpers (>= 1.54~)',
    ],
    bundles: AGENT_ENTRIES,
    files: {
      '/usr/sbin/billet-agent': `${DEBIAN}/billet-agent.sh`,
      '/usr/lib/systemd/system/billet-agent.service': 'systemd/billet-agent.service',
      '/usr/lib/tmpfiles.d/billet-agent.conf': 'systemd/billet.tmpfiles',
      '/etc/billet/agent.json': `${DEBIAN}/agent.jsonc`,
    },
    manuals: { '/usr/share/man/man8/billet-agent.8': `${DEBIAN}/billet-agent.8` },
    interests: [RUNTIME_PATH],
    scripts: SERVICE_SCRIPTS,
    summary: 'fleet of verified machines: agent of a node',
    description: [
      'Billet takes a machine from power-on to a running, verified member of a fleet, and keeps it' +
        ' there.',
      'This package makes a machine that was installed otherwise a node: signed service modules are' +
        ' pulled, verified, mounted and run, and tasks are done. The system itself is left alone.',
    ],
  },
  {
    name: 'billet-coordinator',
    section: 'admin',
    depends: [
      RUNTIME,
      // Its administrator's command, and of the same version.
      `billet (= ${THIS_VERSION})`,
      'systemd (>= 247)',
      'init-system-helpers (>= 1.54~)',
    ],
    bundles: {
      coordinator: 'coordinator/main.ts',
      'coordinator-backup': 'coordinator/backup/main.ts',
    },
    files: {
      '/usr/lib/systemd/system/billet-coordinator.service': 'systemd/billet-coordinator.service',
      '/usr/lib/sysusers.d/billet-coordinator.conf': 'systemd/billet.sysusers',
      '/etc/billet/coordinator.json': `${DEBIAN}/coordinator.jsonc`,
    },
    interests: [RUNTIME_PATH],
    scripts: SERVICE_SCRIPTS,
    summary: 'fleet of verified machines: coordinator',
    description: [
      'Billet takes a machine from power-on to a running, verified member of a fleet, and keeps it' +
        ' there.',
      'This package stores what nodes should be, hands out tasks, and serves the registry and boot' +
        ' files. It holds no key that could sign what nodes run.',
    ],
  },
];
