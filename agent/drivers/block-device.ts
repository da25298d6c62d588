// Bytes of a block device by their place. What they mean is for others to say.

import { type FileHandle, open } from 'node:fs/promises';

/** Fewer bytes where the device ends. Throws the system's errors: ENOENT, ENXIO, EIO. */
export async function readDevice(device: string, offset: number, length: number): Promise<Buffer> {
  return await using(await open(device, 'r'), async (handle) => {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  });
}

/** On the medium when it resolves. Throws the system's errors: ENOENT, ENXIO, EIO, EROFS. */
export async function writeDevice(device: string, offset: number, bytes: Buffer): Promise<void> {
  // Without O_CREAT: a device that went away is not to become a file.
  await using(await open(device, 'r+'), async (handle) => {
    const { bytesWritten } = await handle.write(bytes, 0, bytes.length, offset);
    await handle.sync();
    if (bytesWritten < bytes.length)
      throw new Error(`Input/output error: ${bytesWritten} of ${bytes.length} bytes written`);
  });
}

async function using<T>(handle: FileHandle, work: (handle: FileHandle) => Promise<T>): Promise<T> {
  try {
    return await work(handle);
  } finally {
    await handle.close();
  }
}
