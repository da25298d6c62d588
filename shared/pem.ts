// Text form of certificates, requests and keys. Writes only: what is read goes through node:crypto.

/** RFC 7468 §3, with the label that OpenSSL knows (`CERTIFICATE`, `X509 CRL` …). */
export function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
