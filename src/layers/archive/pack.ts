import { createHash } from "node:crypto"
import { once } from "node:events"
import * as fs from "node:fs"
import { setTimeout } from "node:timers/promises"
import { Schema } from "effect"
import { type Header, type Pack, pack } from "tar-stream"
import { coverage } from "../../domain/Coverage.ts"
import { leftOutLine, sumLine } from "../../domain/Sha256Sums.ts"
import { FileChanged, FileRefused } from "../../services/FileTransfer.ts"
import { type ArchiveEvent, ArchiveHeader, ArchiverUnusable, type ArchiveTotals } from "../../services/ServiceData.ts"
import { CHUNK_BYTES, readAt } from "../files/bytes.ts"
import type { Folder } from "../files/Folder.ts"
import { linkedElsewhere, special, whyLeftOut } from "../files/failure.ts"
import { allNamesInside } from "../files/names.ts"
import { unchanged } from "../files/send.ts"
import { copyOf, databaseIn, type SqliteOptions } from "./databases.ts"
import { HEADER_NAME, type Item, SUMS_NAME, walk } from "./walk.ts"
import { zstd } from "./zstd.ts"

/** Each is remembered until the end, with its digest. */
export const MOST_ENTRIES = 1_000_000
const PROGRESS_MS = 500

export interface PackOptions extends SqliteOptions {
  readonly filesRoot: string
  readonly zstd?: string
}

/** tar's own fields end in 2038, at whole seconds, and at small numbers of owners. */
const headerOf = (path: string, stat: fs.BigIntStats | fs.Stats): Entry => {
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

type Entry = Parameters<Pack["entry"]>[0]

const NOTHING = Buffer.alloc(0)

/** The tar itself, an entry after the other. */
class Writer {
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

interface State {
  readonly events: Array<ArchiveEvent>
  total: ArchiveTotals
  files: number
  bytes: number
}

type FileItem = Item & { readonly _tag: "File" }

/** What is in the archive of a file once it is over: its digest's line, or why it is left out. */
const file = async (
  writer: Writer,
  item: FileItem,
  options: PackOptions,
  state: State,
  signal: AbortSignal,
  inside: (stat: fs.Stats) => boolean
) => {
  const { folder, name, path } = item
  let written = false
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const fd = folder.openFile(name)
    let copy: number | undefined
    try {
      const stat = fs.fstatSync(fd)
      if (!stat.isFile()) throw special(folder.shown(name))
      const before = fs.fstatSync(fd, { bigint: true })
      if (databaseIn(fd) !== undefined) {
        if (stat.nlink > 1) {
          throw new FileRefused({
            path: folder.shown(name),
            why: "is a database with several names (hard links)",
            nextStep: "leave it one name"
          })
        }
        try {
          copy = await copyOf(options, folder, name, fd, signal)
        } catch (cause) {
          if (cause instanceof FileChanged) continue
          throw cause
        }
      } else if (stat.nlink > 1 && !inside(stat)) throw linkedElsewhere(folder.shown(name))
      const from = copy ?? fd
      const size = fs.fstatSync(from).size
      const header: Entry = { ...headerOf(path, before), type: "file" }
      const bytesBefore = state.bytes
      if (size <= CHUNK_BYTES) {
        const bytes = await readAt(from, size, 0)
        const after = fs.fstatSync(fd, { bigint: true })
        if (copy === undefined && !(bytes.length === size && (unchanged(before, after) || after.size > before.size)))
          continue
        await writer.small(path, { ...header, size }, bytes)
        state.bytes += size
      } else {
        const { failed, line, whole } = await writer.large(path, header, size, from, (some) => {
          state.bytes += some
        })
        written = true
        if (failed !== undefined) throw failed.cause
        const after = fs.fstatSync(fd, { bigint: true })
        // What only grows, such as a log, is there as far as it went when it was opened.
        if (copy === undefined && !(whole && (unchanged(before, after) || after.size > before.size))) {
          state.bytes = bytesBefore
          continue
        }
        writer.sums.push(line)
      }
      state.files += 1
      return
    } catch (cause) {
      if (written) writer.sums.push(leftOutLine(path))
      throw cause
    } finally {
      fs.closeSync(fd)
      if (copy !== undefined) fs.closeSync(copy)
    }
  }
  if (written) writer.sums.push(leftOutLine(path))
  throw new FileChanged({ path: folder.shown(name) })
}

const produce = async (
  root: Folder,
  header: ArchiveHeader,
  writer: Writer,
  options: PackOptions,
  state: State,
  signal: AbortSignal
) => {
  const inside = allNamesInside(root)
  const walked = () =>
    walk(root, { coverage: coverage(header), everyFolder: header.covers === "all", allNamesInside: inside })
  const total = { files: 0, bytes: 0 }
  for await (const item of walked()) {
    signal.throwIfAborted()
    if (item._tag !== "File" && item._tag !== "Link") continue
    total.files += 1
    total.bytes += item._tag === "File" ? item.stat.size : 0
  }
  state.total = total
  const text = `${JSON.stringify(Schema.encodeSync(ArchiveHeader)(header), undefined, 2)}\n`
  await writer.small(HEADER_NAME, {}, Buffer.from(text))
  await writer.void("./", fs.fstatSync(root.fd), "directory")
  for await (const item of walked()) {
    signal.throwIfAborted()
    try {
      if (item._tag === "Folder") await writer.void(`${item.path}/`, item.stat, "directory")
      else if (item._tag === "Link") {
        await writer.void(item.path, item.stat, "symlink", item.target)
        state.files += 1
      } else if (item._tag === "File") await file(writer, item, options, state, signal, inside)
      else state.events.push({ _tag: "LeftOut", leftOut: { path: item.path, why: item.why } })
    } catch (cause) {
      if (item._tag !== "File" || isOther(cause)) throw cause
      const why = whyLeftOut(item.folder.shown(item.name), cause)
      if (why === undefined) continue
      state.events.push({ _tag: "LeftOut", leftOut: { path: item.folder.shown(item.name), why } })
    }
  }
  await writer.last(SUMS_NAME, Buffer.from(writer.sums.join("")))
}

const isOther = (cause: unknown) =>
  typeof cause === "object" && cause !== null && "_tag" in cause && cause._tag === "DatabaseNotCopied"

/** The archive's bytes, and what is to be told meanwhile, at the pace of whoever takes them. */
export async function* archive(
  root: Folder,
  header: ArchiveHeader,
  options: PackOptions,
  signal: AbortSignal
): AsyncGenerator<ArchiveEvent> {
  const state: State = { events: [], total: { files: 0, bytes: 0 }, files: 0, bytes: 0 }
  const done = (): ArchiveTotals => ({ files: state.files, bytes: state.bytes })
  const writer = new Writer()
  const packer = zstd("pack", options.zstd)
  const stop = new AbortController()
  const aborted = AbortSignal.any([signal, stop.signal])
  const giveUp = () => {
    packer.kill()
    writer.stop()
  }
  aborted.addEventListener("abort", giveUp)
  // Of the two that go on side by side, the first that fails ends the other.
  let failed: { readonly cause: unknown } | undefined
  const failing = (cause: unknown) => {
    failed ??= { cause }
    stop.abort()
  }
  const producing = produce(root, header, writer, options, state, aborted).catch(failing)
  // What is given up is not waited for.
  const piping = Promise.race([
    once(aborted, "abort"),
    (async () => {
      for await (const bytes of writer.tar) await packer.write(bytes as Uint8Array)
      packer.end()
    })().catch(failing)
  ])
  packer.ended.then((why) => why !== undefined && failing(new ArchiverUnusable({ why })), failing)
  try {
    const output = packer.output[Symbol.asyncIterator]()
    let next = output.next()
    let told = performance.now()
    while (true) {
      const timer = new AbortController()
      const got = await Promise.race([
        next,
        setTimeout(PROGRESS_MS, undefined, { signal: timer.signal }).catch(() => undefined)
      ]).catch(() => ({ done: true as const, value: undefined }))
      timer.abort()
      yield* state.events.splice(0)
      if (performance.now() - told >= PROGRESS_MS) {
        told = performance.now()
        yield { _tag: "Progress", done: done(), total: state.total }
      }
      if (got === undefined) continue
      if (got.done) break
      yield { _tag: "Bytes", bytes: got.value }
      next = output.next()
      next.catch(() => {})
    }
    await Promise.all([producing, piping, packer.ended.catch(() => {})])
    if (failed !== undefined) throw failed.cause
    yield* state.events.splice(0)
    yield { _tag: "Done", totals: done() }
  } finally {
    stop.abort()
    aborted.removeEventListener("abort", giveUp)
    await Promise.all([producing, piping, packer.ended.catch(() => {})])
  }
}
