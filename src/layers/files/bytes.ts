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
export const readAt = async (
  fd: number,
  length: number,
  position: number,
  into: Buffer = Buffer.allocUnsafeSlow(length)
): Promise<Buffer> => {
  const buffer = into.subarray(0, length)
  if (length <= SMALL_BYTES) return buffer.subarray(0, fs.readSync(fd, buffer, 0, length, position))
  let done = 0
  while (done < length) {
    const { bytesRead } = await read(fd, buffer, done, length - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return buffer.subarray(0, done)
}

/** Before each piece, for whoever puts a header there. */
export const ROOM = 32
/** One is in use, one on its way out of it, one is read to. */
const IN_TURN = 3

/**
 * Reads a file's pieces to the same few buffers in turn, since new ones would be most of the garbage there is. A piece is
 * good until the next but one is asked for.
 */
export class Pieces {
  readonly #fd: number
  readonly #buffers: Array<Buffer> = []
  #read = 0
  constructor(fd: number) {
    this.#fd = fd
  }

  /** No piece is longer than the first. */
  next(length: number, position: number): Promise<Buffer> {
    const at = this.#read % IN_TURN
    this.#read += 1
    const buffer = this.#buffers[at] ?? Buffer.allocUnsafeSlow(ROOM + length).subarray(ROOM)
    this.#buffers[at] = buffer
    return readAt(this.#fd, length, position, buffer)
  }
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
  const pieces = new Pieces(fd)
  for (let at = 0; at < length; ) {
    const chunk = await pieces.next(Math.min(CHUNK_BYTES, length - at), at)
    if (chunk.length === 0) return undefined
    hash.update(chunk)
    at += chunk.length
  }
  return hash
}
