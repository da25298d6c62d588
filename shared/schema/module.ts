// A module as its signed label describes it, and as desired state names it.

import { z } from 'zod';
import { Digest } from '../digest.ts';

export const ModuleName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'lower-case letters, digits and dashes, at most 63')
  .brand<'ModuleName'>();
export type ModuleName = z.infer<typeof ModuleName>;

/** OCI config labels that seal an image into a module. */
export const LABEL_MODULE = 'dev.billet.module';
export const LABEL_FSVERITY = 'containers.composefs.fsverity';

const AbsolutePath = z
  .string()
  .max(4096)
  .regex(/^\/(?!.*(?:^|\/)\.\.?(?:\/|$))[^\0\n]*$/, 'an absolute path without . or ..');

const ServiceName = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/);

/**
 * How a service module runs: the part of a systemd.service(5) that a module may decide. Everything
 * else (root, sandbox, restart limits) is the agent's.
 */
export const Service = z.strictObject({
  name: ServiceName,
  /** argv; the first is an absolute path inside the module. */
  exec: z.array(z.string().min(1).max(4096)).min(1).max(64),
  /** 'dynamic' is systemd's DynamicUser=; 'root' keeps only the named capabilities. */
  user: z.enum(['dynamic', 'root']).default('dynamic'),
  environment: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string().max(4096))
    .default({}),
  /** capabilities(7) names kept, e.g. CAP_NET_BIND_SERVICE. */
  capabilities: z
    .array(z.string().regex(/^CAP_[A-Z_]+$/))
    .max(16)
    .default([]),
  /** Under /run in the module's root: made, owned by the user, gone with the unit. */
  runtimeDirectory: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,62}$/)
    .optional(),
  /** Under /var/lib in the module's root: kept between versions. */
  stateDirectory: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,62}$/)
    .optional(),
  type: z.enum(['exec', 'notify', 'oneshot']).default('exec'),
  stopTimeoutSeconds: z.int().min(1).max(3600).default(30),
  memoryMaxBytes: z.int().positive().optional(),
});
export type Service = z.infer<typeof Service>;

/** What has to hold for a generation to be good. Run on the node. */
export const Probe = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('http'),
    name: ServiceName,
    /** Loopback only: a probe asks the node itself. */
    url: z.string().regex(/^http:\/\/(127\.0\.0\.1|\[::1\]|localhost)(:\d{1,5})?\/[^\s]*$/),
    status: z.int().min(100).max(599).default(200),
    /** A text that the body has to contain. */
    contains: z.string().max(1024).optional(),
    timeoutSeconds: z.int().min(1).max(300).default(10),
  }),
  z.strictObject({
    kind: z.literal('unit'),
    name: ServiceName,
    /** A unit of the system image that has to be active. */
    unit: z.string().regex(/^[A-Za-z0-9:_.@-]{1,128}\.(service|socket|target|mount|timer)$/),
    timeoutSeconds: z.int().min(1).max(300).default(30),
  }),
]);
export type Probe = z.infer<typeof Probe>;

/** Label `dev.billet.module`, JSON. Strict: people write it, and a signature covers it. */
export const ModuleLabel = z
  .strictObject({
    format: z.literal(1),
    name: ModuleName,
    /** Semantic version, for people (semver.org 2.0.0). */
    version: z
      .string()
      .regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/)
      .max(128),
    /** Grows with each release, for the rule against older versions. */
    sequence: z.int().nonnegative(),
    kind: z.enum(['system', 'service']),
    /** Merge order among system modules: the higher one wins where it may. */
    priority: z.int().min(0).max(1000).default(100),
    description: z.string().max(1024).default(''),
    /** Modules that have to be there too. */
    requires: z.array(ModuleName).max(32).default([]),
    /** Paths of lower modules that this one may put its own in the place of. */
    replaces: z.array(AbsolutePath).max(256).default([]),
    /** Data that outlives generations; directories under /var. */
    persistent: z
      .array(AbsolutePath.refine((path) => path.startsWith('/var/'), 'under /var/'))
      .max(64)
      .default([]),
    services: z.array(Service).max(16).default([]),
    probes: z.array(Probe).max(16).default([]),
    /** JSON Schema of the settings under `modules.<name>` that this module reads. */
    settingsSchema: z.record(z.string(), z.unknown()).optional(),
  })
  .superRefine((label, context) => {
    if (label.kind === 'system' && label.services.length > 0)
      context.addIssue({
        code: 'custom',
        path: ['services'],
        message: 'a system module ships units in its files; only a service module lists services',
      });
    if (label.kind === 'service' && label.services.length === 0)
      context.addIssue({
        code: 'custom',
        path: ['services'],
        message: 'a service module needs one',
      });
  });
export type ModuleLabel = z.infer<typeof ModuleLabel>;

/** A module in desired state: pinned by content, never by tag. */
export const ModuleRef = z.object({
  name: ModuleName,
  kind: z.enum(['system', 'service']),
  version: z.string().max(128),
  /** `repository` on the coordinator's own registry, or `host[:port]/repository`. */
  repository: z.string().min(1).max(512),
  /** Digest of the OCI manifest: the files, and how they are to run. */
  manifest: Digest,
  /** fs-verity digest of the composefs image: the files. For comparison; the label decides. */
  image: Digest,
});
export type ModuleRef = z.infer<typeof ModuleRef>;
