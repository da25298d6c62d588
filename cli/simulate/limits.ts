// How many agents this machine can carry in one process, and what stops at that number. Decides from
// figures; reads none.

export interface HostFigures {
  /** Soft limit of open files of this process, and how many it has open. */
  readonly openFilesMax: number;
  readonly openFiles: number;
  readonly memoryAvailableBytes: number;
  /** Of the range that outgoing connections are given; to one address, each is used once. */
  readonly localPorts: number;
}

export interface Limit {
  readonly what: 'open files' | 'memory' | 'local ports';
  /** Most agents that it allows. */
  readonly agents: number;
  /** The figures behind it. */
  readonly text: string;
  /** How to have more. */
  readonly hint: string;
}

/** The channel stays open; a request that is under way has a connection of its own. */
const REQUESTS_AT_ONCE = 1_100;
const SPARE_FILES = 64;
/** Measured, with half as much again: a TLS connection in Node, its key, certificate and state. */
const BYTES_PER_CONNECTION = 240 * 1024;
/** Of what is available: the rest is for the coordinator, which may be on the same machine. */
const MEMORY_SHARE = 0.5;

/** The tightest first. `connections` is what one agent keeps open. */
export function limitsOf(host: HostFigures, connections: number): readonly Limit[] {
  const files = host.openFilesMax - host.openFiles - SPARE_FILES - REQUESTS_AT_ONCE;
  const ports = host.localPorts - REQUESTS_AT_ONCE;
  const bytes = connections * BYTES_PER_CONNECTION;
  const limits: readonly Limit[] = [
    {
      what: 'open files',
      agents: whole(files / connections),
      text: `${host.openFilesMax} may be open, ${connections} an agent`,
      hint: `ulimit -n ${2 * host.openFilesMax} (or LimitNOFILE=), then run it again`,
    },
    {
      what: 'memory',
      agents: whole((host.memoryAvailableBytes * MEMORY_SHARE) / bytes),
      text: `${mib(host.memoryAvailableBytes)} available, half of it for agents of up to ${Math.round(bytes / 1024)} KiB`,
      hint: 'run it on a machine with more memory, or from several machines under other names',
    },
    {
      what: 'local ports',
      agents: whole(ports / connections),
      text: `${host.localPorts} for connections to one address, ${connections} an agent`,
      hint: 'sysctl net.ipv4.ip_local_port_range="1024 65535", then run it again',
    },
  ];
  return limits.toSorted((one, other) => one.agents - other.agents);
}

const whole = (agents: number) => Math.max(0, Math.floor(agents));
const mib = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
