import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { setImmediate } from "node:timers/promises"
import { Either } from "effect"
import type { FileEntry, FileKind, FilePart, FileParts, Held } from "../../domain/FileParts.ts"
import { PARTIAL_FOLDER, shown, splitPath, staysInside } from "../../domain/FilePath.ts"
import { FileChanged, FileNotFound, PathOutsideRoot } from "../../services/FileTransfer.ts"
import { CHUNK_BYTES, hashed, Pieces, ROOM, SMALL_BYTES } from "./bytes.ts"
import { type Folder, OFTEN } from "./Folder.ts"
import { fileError, isAFolder, linkedElsewhere, special, whyLeftOut } from "./failure.ts"
import { collectAsUsual, collectLessOften } from "./garbage.ts"

export interface SendOptions {
  /** Folders with what lies in them; else one file. */
  readonly tree: boolean
  readonly held: Held | undefined
  /** Whether a file that has several names has all of them where it may be read. */
  readonly allNamesInside: (stat: fs.Stats) => boolean | Promise<boolean>
}

export const kindOf = (stat: fs.Stats): FileKind =>
  stat.isFile() ? "file" : stat.isDirectory() ? "folder" : stat.isSymbolicLink() ? "link" : "other"

export const entryOf = (path: Uint8Array, stat: fs.Stats): FileEntry => ({
  path,
  kind: kindOf(stat),
  mode: stat.mode & 0o777,
  size: stat.isFile() ? stat.size : 0,
  modifiedMs: Math.max(0, Math.floor(stat.mtimeMs)),
  offset: 0
})

const beneath = (path: Uint8Array, name: Uint8Array) =>
  path.length === 0 ? name : Buffer.concat([path, Buffer.from("/"), name])

export const unchanged = (before: fs.BigIntStats, after: fs.BigIntStats) =>
  before.size === after.size && before.mtimeNs === after.mtimeNs && before.ino === after.ino

/** Once more when it changes while it is read. */
async function* file(
  folder: Folder,
  name: Uint8Array,
  path: Uint8Array,
  options: SendOptions
): AsyncGenerator<FilePart> {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const fd = folder.openFile(name)
    try {
      const stat = fs.fstatSync(fd)
      if (!stat.isFile()) throw special(folder.shown(name))
      if (stat.nlink > 1 && !(await options.allNamesInside(stat))) throw linkedElsewhere(folder.shown(name))
      const before = fs.fstatSync(fd, { bigint: true })
      const { held } = options
      const begun = held === undefined || held.bytes > stat.size ? undefined : await hashed(fd, held.bytes)
      const goesOn =
        begun
          ?.copy()
          .digest()
          .equals(held?.sha256 ?? Buffer.alloc(0)) === true
      const hash = goesOn && begun !== undefined ? begun : createHash("sha256")
      const offset = goesOn ? (held?.bytes ?? 0) : 0
      yield { _tag: "Entry", entry: { ...entryOf(path, stat), offset } }
      let at = offset
      // One piece ahead, so that the disk and the line work at the same time.
      const pieces = new Pieces(fd)
      let next = pieces.next(Math.min(CHUNK_BYTES, stat.size - at), at)
      try {
        while (at < stat.size) {
          const bytes = await next
          if (bytes.length === 0) break
          at += bytes.length
          if (at < stat.size) next = pieces.next(Math.min(CHUNK_BYTES, stat.size - at), at)
          hash.update(bytes)
          yield { _tag: "Data", bytes, room: ROOM }
        }
      } finally {
        await next.catch(() => {})
      }
      if (at === stat.size && unchanged(before, fs.fstatSync(fd, { bigint: true }))) {
        yield { _tag: "End", sha256: hash.digest() }
        return
      }
    } catch (cause) {
      throw fileError(folder.shown(name), cause)
    } finally {
      fs.closeSync(fd)
    }
  }
  throw new FileChanged({ path: folder.shown(name) })
}

/** Where a link leads that lies `depth` folders below the root: inside. */
export const targetInside = (folder: Folder, name: Uint8Array, depth: number): Buffer => {
  const target = fs.readlinkSync(folder.at(name), { encoding: "buffer" })
  if (staysInside(depth, target)) return target
  throw new PathOutsideRoot({ path: folder.shown(name), why: `is a link out of the folder, to ${shown(target)}` })
}

function* link(folder: Folder, name: Uint8Array, path: Uint8Array, stat: fs.Stats, depth: number): Generator<FilePart> {
  yield { _tag: "Entry", entry: { ...entryOf(path, stat), target: targetInside(folder, name, depth) } }
}

async function* within(
  folder: Folder,
  path: Uint8Array,
  depth: number,
  options: SendOptions
): AsyncGenerator<FilePart> {
  for (const name of folder.names()) {
    if (depth === 0 && name.toString("latin1") === PARTIAL_FOLDER) continue
    const below = beneath(path, name)
    try {
      // The other end would refuse it, and all the rest with it.
      const split = splitPath(below)
      if (Either.isLeft(split)) throw new PathOutsideRoot({ path: folder.shown(name), why: split.left })
      const stat = folder.stat(name)
      if (stat === undefined) continue
      if (stat.isFile()) yield* file(folder, name, below, options)
      else if (stat.isSymbolicLink()) yield* link(folder, name, below, stat, depth)
      else if (stat.isDirectory()) yield* subfolder(folder, name, below, stat, depth, options)
      else throw special(folder.shown(name))
    } catch (cause) {
      const why = whyLeftOut(folder.shown(name), cause)
      if (why !== undefined) yield { _tag: "Skipped", path: below, why }
    }
  }
}

async function* subfolder(
  parent: Folder,
  name: Uint8Array,
  path: Uint8Array,
  stat: fs.Stats,
  depth: number,
  options: SendOptions
): AsyncGenerator<FilePart> {
  const folder = parent.open(name)
  try {
    yield { _tag: "Entry", entry: entryOf(path, stat) }
    yield* within(folder, path, depth + 1, options)
  } finally {
    folder.close()
  }
}

/** Files and bytes that lie in a folder, for those who wait. */
const total = async (folder: Folder): Promise<{ files: number; bytes: number }> => {
  const sum = { files: 0, bytes: 0 }
  for (const [i, name] of folder.names().entries()) {
    if (i % OFTEN === 0) await setImmediate()
    try {
      const stat = folder.stat(name)
      if (stat?.isFile()) {
        sum.files += 1
        sum.bytes += stat.size
      } else if (stat?.isDirectory()) {
        const below = folder.open(name)
        try {
          const { bytes, files } = await total(below)
          sum.files += files
          sum.bytes += bytes
        } finally {
          below.close()
        }
      }
    } catch {
      // It is told of when its turn comes.
    }
  }
  return sum
}

const NOTHING = Buffer.alloc(0)

async function* parts(parent: Folder, name: Uint8Array | undefined, options: SendOptions): AsyncGenerator<FilePart> {
  const stat = name === undefined ? fs.fstatSync(parent.fd) : parent.stat(name)
  if (stat === undefined) throw new FileNotFound({ path: parent.shown(name ?? NOTHING) })
  if (stat.isDirectory()) {
    if (!options.tree) throw isAFolder(name === undefined ? "." : parent.shown(name))
    const folder = name === undefined ? parent : parent.open(name)
    try {
      yield { _tag: "Total", ...(await total(folder)) }
      yield { _tag: "Entry", entry: entryOf(NOTHING, stat) }
      yield* within(folder, NOTHING, 0, options)
    } finally {
      if (folder !== parent) folder.close()
    }
  } else if (name !== undefined) {
    if (stat.isSymbolicLink()) throw fileError(parent.shown(name), { code: "ELOOP" })
    if (!stat.isFile()) throw special(parent.shown(name))
    yield { _tag: "Total", files: 1, bytes: stat.size }
    yield* file(parent, name, NOTHING, options)
  }
  yield { _tag: "Last" }
}

const MOST_PARTS = 1024

/** What lies at a name, or the folder itself, as parts of a transfer: small files many together. */
export async function* send(
  parent: Folder,
  name: Uint8Array | undefined,
  options: SendOptions
): AsyncGenerator<FileParts> {
  collectLessOften()
  try {
    yield* together(parts(parent, name, options))
  } finally {
    collectAsUsual()
  }
}

async function* together(all: AsyncGenerator<FilePart>): AsyncGenerator<FileParts> {
  let batch: Array<FilePart> = []
  let bytes = 0
  for await (const part of all) {
    const size = part._tag === "Data" ? part.bytes.length : 0
    const alone = size > SMALL_BYTES
    if (batch.length > 0 && (alone || bytes + size > CHUNK_BYTES || batch.length >= MOST_PARTS)) {
      yield batch
      batch = []
      bytes = 0
    }
    if (alone) {
      yield [part]
      continue
    }
    batch.push(part)
    bytes += size
  }
  yield batch
}
