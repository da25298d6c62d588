// The xxHash32 of short keys, as EROFS uses it for its xattr name filter. Nothing else.
// Source: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md

const PRIME_1 = 0x9e3779b1;
const PRIME_2 = 0x85ebca77;
const PRIME_3 = 0xc2b2ae3d;
const PRIME_4 = 0x27d4eb2f;
const PRIME_5 = 0x165667b1;

const rotateLeft = (value: number, bits: number): number =>
  (value << bits) | (value >>> (32 - bits));

const lane = (accumulator: number, input: number): number =>
  Math.imul(rotateLeft((accumulator + Math.imul(input, PRIME_2)) | 0, 13), PRIME_1);

/** An unsigned 32-bit hash. */
export function xxh32(data: Buffer, seed: number): number {
  let offset = 0;
  let hash = (seed + PRIME_5) | 0;
  if (data.length >= 16) {
    const lanes = [seed + PRIME_1 + PRIME_2, seed + PRIME_2, seed, seed - PRIME_1];
    for (; offset + 16 <= data.length; offset += 16)
      for (let index = 0; index < 4; index += 1)
        lanes[index] = lane((lanes[index] ?? 0) | 0, data.readInt32LE(offset + 4 * index));
    const [a = 0, b = 0, c = 0, d = 0] = lanes;
    hash = (rotateLeft(a, 1) + rotateLeft(b, 7) + rotateLeft(c, 12) + rotateLeft(d, 18)) | 0;
  }
  hash = (hash + data.length) | 0;
  for (; offset + 4 <= data.length; offset += 4) {
    hash = (hash + Math.imul(data.readInt32LE(offset), PRIME_3)) | 0;
    hash = Math.imul(rotateLeft(hash, 17), PRIME_4);
  }
  for (; offset < data.length; offset += 1) {
    hash = (hash + Math.imul(data.readUInt8(offset), PRIME_5)) | 0;
    hash = Math.imul(rotateLeft(hash, 11), PRIME_1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_2);
  hash = Math.imul(hash ^ (hash >>> 13), PRIME_3);
  return (hash ^ (hash >>> 16)) >>> 0;
}
