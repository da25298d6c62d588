// How the agent logs in to registries other than the coordinator's: passwords and CAs that an operator
// put on the node, in the forms that skopeo and podman write. Reads only; keeps no secret.
//
//   <state>/registries/auth.json                 containers-auth.json(5), mode 0600
//   <state>/registries/certs.d/HOST[:PORT]/*.crt  containers-certs.d(5), CAs in PEM

import { closeSync, fstatSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Credentials } from '#shared/artifact/oci/registry-auth.ts';
import { BilletError } from '#shared/errors.ts';

export interface RegistryAccess {
  /**
   * Of the most specific entry for `host/repository`; undefined without one. Read anew at each call,
   * so that a new password counts at once. Throws CONFIG_INVALID, naming the file and no secret.
   */
  credentials(host: string, repository: string): Credentials | undefined;
  /** PEM of the CAs that this registry may have, beside the usual ones. */
  authorities(host: string): readonly string[];
}

/** Other programs write this file too: what is not known here is left alone. */
const AuthFile = z.object({
  auths: z
    .record(
      z.string(),
      z.object({
        auth: z.string().optional(),
        identitytoken: z.string().optional(),
        registrytoken: z.string().optional(),
      }),
    )
    .default({}),
});
type Entry = z.infer<typeof AuthFile>['auths'][string];

const OTHERS = 0o077;

export function registryAccess(stateDir: string): RegistryAccess {
  const dir = join(stateDir, 'registries');
  const authFile = join(dir, 'auth.json');
  return {
    credentials(host, repository) {
      const text = readSecret(authFile);
      if (text === null) return undefined;
      const { auths } = parsed(text, authFile);
      for (const key of keysFor(host, repository)) {
        const entry = Object.hasOwn(auths, key) ? auths[key] : undefined;
        if (entry !== undefined) return credentialsOf(entry, key, authFile);
      }
      return undefined;
    },
    authorities(host) {
      // A port is part of the name; anything else of a URL is not.
      const certificates = join(dir, 'certs.d', host);
      const names = absentIs([], () => readdirSync(certificates)).filter((each) =>
        each.endsWith('.crt'),
      );
      return names.sort().map((name) => readFileSync(join(certificates, name), 'utf8'));
    },
  };
}

/** `host/a/b`, `host/a`, `host`: containers-auth.json(5), "the most specific match". */
function keysFor(host: string, repository: string): string[] {
  const parts = [host, ...repository.split('/')];
  return parts.map((_, index) => parts.slice(0, parts.length - index).join('/'));
}

function credentialsOf(entry: Entry, key: string, file: string): Credentials {
  if (entry.registrytoken) return { kind: 'bearer', token: entry.registrytoken };
  if (entry.identitytoken)
    throw invalid(file, `the entry of ${key} is an identity token, which is not understood`);
  const login = Buffer.from(entry.auth ?? '', 'base64').toString('utf8');
  const colon = login.indexOf(':');
  if (colon < 1) throw invalid(file, `the entry of ${key} holds no user name and password`);
  return { kind: 'basic', username: login.slice(0, colon), password: login.slice(colon + 1) };
}

function parsed(text: string, file: string): z.infer<typeof AuthFile> {
  try {
    return AuthFile.parse(JSON.parse(text));
  } catch {
    // Not the cause: a parser quotes what it read, and that is a secret.
    throw invalid(file, 'it is no containers-auth.json(5)');
  }
}

/** Null when there is none. Throws CONFIG_INVALID when others than its owner may read it. */
function readSecret(file: string): string | null {
  const fd = absentIs(null, () => openSync(file, 'r'));
  if (fd === null) return null;
  try {
    if ((fstatSync(fd).mode & OTHERS) !== 0)
      throw new BilletError('CONFIG_INVALID', `${file} can be read by others than its owner`, {
        hint: `chmod 600 ${file}, and change the passwords in it`,
      });
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

function absentIs<T>(value: T, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return value;
    throw error;
  }
}

const invalid = (file: string, why: string) =>
  new BilletError('CONFIG_INVALID', `${file}: ${why}`, {
    hint: `write it with: skopeo login --authfile ${file} HOST`,
  });
