// A timestamp authority of the tests' own (RFC 3161): OpenSSL's, behind HTTP. Its certificates are
// made for it and gone with the directory.

import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);

export interface TimestampAuthority {
  readonly url: string;
  /** Path of its certificate and the root's, PEM. */
  readonly chain: string;
  close(): Promise<void>;
}

/** openssl-ts(1), "CONFIGURATION FILE OPTIONS". */
const config = (dir: string) => `
[ tsa ]
default_tsa = tsa_config
[ tsa_config ]
serial = ${dir}/serial
crypto_device = builtin
signer_cert = ${dir}/tsa.pem
signer_key = ${dir}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
ess_cert_id_alg = sha256
ess_cert_id_chain = no
[ root ]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[ leaf ]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[ req ]
distinguished_name = name
[ name ]
`;

/** Files go into `dir`, an empty directory. */
export async function startTimestampAuthority(dir: string): Promise<TimestampAuthority> {
  const openssl = (...args: string[]) => exec('openssl', args, { cwd: dir, timeout: 30_000 });
  await writeFile(join(dir, 'tsa.cnf'), config(dir));
  await writeFile(join(dir, 'serial'), '01\n');
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const made = ['req', '-x509', '-config', 'tsa.cnf', '-days', '30', ...key];
  await openssl(
    ...[...made, '-extensions', 'root', '-subj', '/O=billet/CN=TSA root'],
    ...['-keyout', 'root.key', '-out', 'root.pem'],
  );
  await openssl(
    ...[...made, '-extensions', 'leaf', '-subj', '/O=billet/CN=TSA'],
    ...['-CA', 'root.pem', '-CAkey', 'root.key', '-keyout', 'tsa.key', '-out', 'tsa.pem'],
  );
  const chain = join(dir, 'chain.pem');
  const pems = ['tsa.pem', 'root.pem'].map((file) => readFile(join(dir, file), 'utf8'));
  await writeFile(chain, (await Promise.all(pems)).join(''));

  const reply = async (request: IncomingMessage): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    await writeFile(join(dir, 'query'), Buffer.concat(chunks));
    await openssl('ts', '-reply', '-config', 'tsa.cnf', '-queryfile', 'query', '-out', 'reply');
    return await readFile(join(dir, 'reply'));
  };
  const server = createServer((request, response) => {
    reply(request).then(
      (bytes) =>
        response.writeHead(201, { 'content-type': 'application/timestamp-reply' }).end(bytes),
      (error: Error) => response.writeHead(500).end(error.message),
    );
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/timestamp`,
    chain,
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
