// Tar streams built by hand, right or wrong in one place. Imported by tests only.

import { type Layer, readLayer } from './layer.ts';
import { digestSink, type ObjectSink } from './object-sink.ts';
import type { TarLimits } from './tar-read.ts';

export interface TarPart {
  readonly name?: string;
  /** `0` regular, `1` hard link, `2` symlink, `5` directory, `x` PAX … */
  readonly type?: string;
  readonly body?: string | Buffer;
  /** Instead of the length of the body. */
  readonly size?: number;
  readonly link?: string;
  readonly mode?: number;
  readonly device?: readonly [major: number, minor: number];
  readonly format?: 'ustar' | 'gnu' | 'v7';
  /** PAX records that come before, `key` to value. */
  readonly pax?: Readonly<Record<string, string>>;
}

/** Header and padded body; strings are bytes (latin1). */
export function tarPart(part: TarPart): Buffer {
  const { body: content = '' } = part;
  const body = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
  const header = Buffer.alloc(512);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`;
  header.write(part.name ?? 'file', 0, 100, 'latin1');
  header.write(octal(part.mode ?? 0o644, 7), 100);
  header.write(octal(1, 7), 108);
  header.write(octal(2, 7), 116);
  header.write(octal(part.size ?? body.length, 11), 124);
  header.write(octal(1_700_000_000, 11), 136);
  header.write(part.type ?? '0', 156, 'latin1');
  header.write(part.link ?? '', 157, 100, 'latin1');
  if (part.format !== 'v7')
    header.write(part.format === 'gnu' ? 'ustar  \0' : 'ustar\x0000', 257, 'latin1');
  const [major, minor] = part.device ?? [0, 0];
  header.write(octal(major, 7) + octal(minor, 7), 329);
  header.fill(' ', 148, 156);
  header.write(
    `${octal(
      header.reduce((sum, byte) => sum + byte, 0),
      6,
    )} `,
    148,
  );
  const data = Buffer.concat([header, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
  if (!part.pax) return data;
  const records = Object.entries(part.pax).map(([key, value]) => paxRecord(key, value));
  return Buffer.concat([tarPart({ name: 'pax', type: 'x', body: records.join('') }), data]);
}

export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length;
  while (`${length}${rest}`.length !== length) length = `${length}${rest}`.length;
  return `${length}${rest}`;
}

export const TAR_END = Buffer.alloc(1024);

export const tarOf = (...parts: readonly TarPart[]): Buffer =>
  Buffer.concat([...parts.map(tarPart), TAR_END]);

/** The bytes in chunks of a size that divides nothing. */
export async function* chunked(bytes: Buffer, chunkBytes = 333): AsyncGenerator<Buffer, void> {
  for (let offset = 0; offset < bytes.length; offset += chunkBytes)
    yield Buffer.from(bytes.subarray(offset, offset + chunkBytes));
}

export const layerOf = (
  bytes: Buffer,
  sink: ObjectSink = digestSink(),
  limits: Partial<TarLimits> = {},
): Promise<Layer> => readLayer(chunked(bytes), sink, limits);
