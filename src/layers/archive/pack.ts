import { once } from "node:events"
import * as fs from "node:fs"
import { setTimeout } from "node:timers/promises"
import { Schema } from "effect"
import { coverage } from "../../domain/Coverage.ts"
import { leftOutLine } from "../../domain/Sha256Sums.ts"
import { FileChanged, FileRefused } from "../../services/FileTransfer.ts"
import { type ArchiveEvent, ArchiveHeader, ArchiverUnusable, type ArchiveTotals } from "../../services/ServiceData.ts"
import { CHUNK_BYTES, readAt } from "../files/bytes.ts"
import type { Folder } from "../files/Folder.ts"
import { linkedElsewhere, special, whyLeftOut } from "../files/failure.ts"
import { allNamesInside } from "../files/names.ts"
import { unchanged } from "../files/send.ts"
import { copyOf, databaseIn, type SqliteOptions } from "./databases.ts"
import { type Entry, headerOf, TarWriter } from "./TarWriter.ts"
import { HEADER_NAME, type Item, SUMS_NAME, walk } from "./walk.ts"
import { zstd } from "./zstd.ts"

const PROGRESS_MS = 500

export interface PackOptions extends SqliteOptions {
  readonly filesRoot: string
  readonly zstd?: string
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
  writer: TarWriter,
  item: FileItem,
  options: PackOptions,
  state: State,
  signal: AbortSignal,
  inside: (stat: fs.Stats) => Promise<boolean>
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
      } else if (stat.nlink > 1 && !(await inside(stat))) throw linkedElsewhere(folder.shown(name))
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
  writer: TarWriter,
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
  const writer = new TarWriter()
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
