import { createHash } from "node:crypto"
import type * as fs from "node:fs"
import { type Header, type Pack, pack } from "tar-stream"
import { sumLine } from "../../domain/Sha256Sums.ts"
import { FileRefused } from "../../services/FileTransfer.ts"
import { CHUNK_BYTES, readAt } from "../files/bytes.ts"

/** Each is remembered until the end, with its digest. */
export const MOST_ENTRIES = 1_000_000

/** tar's own fields end in 2038, at whole seconds, and at small numbers of owners. */
export const headerOf = (path: string, stat: fs.BigIntStats | fs.Stats): Entry => {
  const ns = "mtimeNs" in stat ? stat.mtimeNs : BigInt(Math.round(stat.mtimeMs * 1000)) * 1000n
  const seconds = ns / 1_000_000_000n - (ns % 1_000_000_000n < 0n ? 1n : 0n)
  const rest = ns - seconds * 1_000_000_000n
  const owner = (id: number | bigint, key: string) => (Number(id) > 0o777777 ? { [key]: String(id) } : {})
  return {
    name: path,
    // The bit above is cut off again: tar-stream takes a mode of 0 for none.
    mode: (Number(stat.mode) & 0o777) | 0o100000,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtime: new Date(Math.min(Math.max(Number(seconds), 0), 0x7fffffff) * 1000),
    pax: {
      ...owner(stat.uid, "uid"),
      ...owner(stat.gid, "gid"),
      mtime: `${seconds}.${String(rest).padStart(9, "0")}`
    }
  }
}

export type Entry = Parameters<Pack["entry"]>[0]

const NOTHING = Buffer.alloc(0)

/** The tar itself, an entry after the other. */
export class TarWriter {
  readonly tar = pack()
  readonly sums: Array<string> = []
  #entries = 0
  #stopped = false
  #stop: (() => void) | undefined

  /** Nothing is waited for any more. */
  stop() {
    this.#stopped = true
    this.tar.destroy(null)
    this.#stop?.()
  }

  #waiting<A>(wait: (resolve: (value: A) => void, reject: (cause: unknown) => void) => void): Promise<A> {
    return new Promise<A>((resolve, reject) => {
      this.#stop = () => reject(new Error("interrupted"))
      if (this.#stopped) return this.#stop()
      wait(resolve, reject)
    }).finally(() => {
      this.#stop = undefined
    })
  }

  #count() {
    this.#entries += 1
    if (this.#entries <= MOST_ENTRIES) return
    throw new FileRefused({
      path: ".",
      why: `holds more than ${MOST_ENTRIES} files and folders`,
      nextStep: "leave some out by [snapshot] excludes"
    })
  }

  #entry(header: Entry, bytes?: Buffer): Promise<void> {
    this.#count()
    return this.#waiting((resolve, reject) => {
      const done = (cause?: Error | null) => (cause ? reject(cause) : resolve())
      if (bytes === undefined) this.tar.entry(header, done)
      else this.tar.entry(header, bytes, done)
    })
  }

  void(path: string, stat: fs.Stats, type: "directory" | "symlink", linkname?: string): Promise<void> {
    return this.#entry({ ...headerOf(path, stat), type, ...(linkname === undefined ? {} : { linkname }) })
  }

  async small(path: string, header: Partial<Header>, bytes: Buffer): Promise<void> {
    await this.#entry({ name: path, mode: 0o600, type: "file", ...header }, bytes)
    this.sums.push(sumLine(path, createHash("sha256").update(bytes).digest()))
  }

  async last(name: string, bytes: Buffer): Promise<void> {
    await this.#entry({ name, mode: 0o600, type: "file" }, bytes)
    this.tar.finalize()
  }

  /** Exactly as many bytes as the header says; false when there were fewer, and zeros are in their place. */
  async large(path: string, header: Entry, size: number, fd: number, told: (bytes: number) => void) {
    this.#count()
    let settled: { readonly cause: unknown } | undefined
    let settle = () => {}
    const sink = this.tar.entry({ ...header, size }, (cause) => {
      settled = { cause }
      settle()
    })
    const write = (bytes: Buffer) => {
      if (sink.write(bytes)) return
      return this.#waiting<void>((resolve) => {
        settle = resolve
        sink.once("drain", () => resolve())
      })
    }
    const hash = createHash("sha256")
    let failed: { readonly cause: unknown } | undefined
    let at = 0
    // One piece ahead, so that the disk and the packing work at the same time.
    let next = readAt(fd, Math.min(CHUNK_BYTES, size), 0)
    try {
      while (at < size) {
        const bytes = await next.catch((cause) => {
          failed = { cause }
          return NOTHING
        })
        if (bytes.length === 0) break
        at += bytes.length
        next = readAt(fd, Math.min(CHUNK_BYTES, size - at), at)
        hash.update(bytes)
        told(bytes.length)
        await write(bytes)
      }
    } finally {
      await next.catch(() => {})
    }
    const whole = at === size
    for (; at < size; at += Math.min(CHUNK_BYTES, size - at)) {
      await write(Buffer.alloc(Math.min(CHUNK_BYTES, size - at)))
    }
    sink.end(undefined)
    await this.#waiting<void>((resolve) => {
      settle = resolve
      if (settled !== undefined) resolve()
    })
    if (settled?.cause) throw settled.cause
    return { whole, failed, line: sumLine(path, hash.digest()) }
  }
}
