import { createHash, type Hash } from "node:crypto"
import * as fs from "node:fs"
import { promisify } from "node:util"

/** What one message carries of a file. */
export const CHUNK_BYTES = 1024 * 1024
/** Up to here a call that waits costs less than one that does not. */
export const SMALL_BYTES = 64 * 1024

const read = promisify(fs.read)
const write = promisify(fs.write)

/** Fewer bytes than asked for at the end of the file. */
export const readAt = async (fd: number, length: number, position: number): Promise<Buffer> => {
  const buffer = Buffer.allocUnsafeSlow(length)
  if (length <= SMALL_BYTES) return buffer.subarray(0, fs.readSync(fd, buffer, 0, length, position))
  let done = 0
  while (done < length) {
    const { bytesRead } = await read(fd, buffer, done, length - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return buffer.subarray(0, done)
}

export const writeAt = async (fd: number, bytes: Uint8Array, position: number): Promise<void> => {
  for (let done = 0; done < bytes.length; ) {
    done +=
      bytes.length <= SMALL_BYTES
        ? fs.writeSync(fd, bytes, done, bytes.length - done, position + done)
        : (await write(fd, bytes, done, bytes.length - done, position + done)).bytesWritten
  }
}

/** The digest of the first `length` bytes, to go on with; undefined when there are fewer. */
export const hashed = async (fd: number, length: number): Promise<Hash | undefined> => {
  const hash = createHash("sha256")
  for (let at = 0; at < length; ) {
    const chunk = await readAt(fd, Math.min(CHUNK_BYTES, length - at), at)
    if (chunk.length === 0) return undefined
    hash.update(chunk)
    at += chunk.length
  }
  return hash
}
