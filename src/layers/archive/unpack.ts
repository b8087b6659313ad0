import { createHash } from "node:crypto"
import { once } from "node:events"
import { Either, Schema } from "effect"
import { type Extract, extract, type Header } from "tar-stream"
import { type Coverage, coverage } from "../../domain/Coverage.ts"
import { splitPath } from "../../domain/FilePath.ts"
import { parseSums } from "../../domain/Sha256Sums.ts"
import { FilesDiskFull } from "../../services/FileTransfer.ts"
import { ArchiveHeader, ArchiverUnusable, type ArchiveTotals, ArchiveUnusable } from "../../services/ServiceData.ts"
import { type Folder, holding } from "../files/Folder.ts"
import { codeOf, fileError } from "../files/failure.ts"
import { Receiver } from "../files/receive.ts"
import { hasRoom } from "../files/room.ts"
import { COMPANIONS, checkDatabases, MAGIC, type SqliteOptions } from "./databases.ts"
import { MOST_ENTRIES } from "./pack.ts"
import { type FolderFacts, NEW, type Plan } from "./place.ts"
import { HEADER_NAME, SUMS_NAME, textOf } from "./walk.ts"
import type { Zstd } from "./zstd.ts"

const unusable = (why: string) => new ArchiveUnusable({ why })

export const MOST_HEADER_BYTES = 4 * 1024 * 1024
const MOST_SUMS_BYTES = 256 * 1024 * 1024
const MOST_OWNER = 0xfffffffe
const PROGRESS_BYTES = 16 * 1024 * 1024

const Versioned = Schema.parseJson(Schema.Struct({ version: Schema.Number }))

export const decodeHeader = (text: string): ArchiveHeader => {
  const versioned = Schema.decodeUnknownEither(Versioned)(text)
  if (Either.isLeft(versioned)) throw unusable("it does not begin with a snapshot's header")
  const { version } = versioned.right
  if (version !== 1) throw unusable(`it has form ${version}, and this agent knows form 1 only: upgrade the agent`)
  const header = Schema.decodeUnknownEither(Schema.parseJson(ArchiveHeader))(text)
  if (Either.isLeft(header)) throw unusable(`its header is of another form: ${header.left.message.split("\n").at(-1)}`)
  return header.right
}

type Entry = Extract extends AsyncIterable<infer A> ? A : never

/** What is left early is destroyed by us, and not waited for: its own end may never come. */
export const loosely = <A>(all: AsyncIterable<A>): AsyncIterable<A> => ({
  [Symbol.asyncIterator]: () => {
    const each = all[Symbol.asyncIterator]()
    return { next: () => each.next() }
  }
})

export const whole = async (entry: Entry, most: number): Promise<Buffer> => {
  const { name, size } = entry.header
  if (size > most) throw unusable(`${name} is too large`)
  const chunks: Array<Buffer> = []
  for await (const chunk of loosely(entry)) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** Its own type leaves open what is read here. */
type Pax = Omit<Header, "pax" | "linkname" | "type"> & {
  readonly type: Header["type"] | null
  readonly linkname: string | null
  readonly pax?: Record<string, string> | null
}

const numeric = (path: string, what: string, value: number | string | undefined, most: number): number => {
  const number = typeof value === "string" && !/^\d+$/.test(value) ? Number.NaN : Number(value)
  if (Number.isSafeInteger(number) && number >= 0 && number <= most) return number
  throw unusable(`${path}: its ${what} makes no sense`)
}

const factsOf = (path: string, header: Pax): FolderFacts => {
  const { pax } = header
  const seconds = pax?.mtime === undefined ? Number(header.mtime?.getTime()) / 1000 : Number(pax.mtime)
  if (!Number.isFinite(seconds) || Math.abs(seconds) > 1e11) throw unusable(`${path}: its time makes no sense`)
  return {
    path: Buffer.from(path).toString("latin1"),
    mode: numeric(path, "mode", header.mode, 0o7777777) & 0o777,
    uid: numeric(path, "owner", pax?.uid ?? header.uid, MOST_OWNER),
    gid: numeric(path, "group", pax?.gid ?? header.gid, MOST_OWNER),
    modifiedMs: seconds * 1000
  }
}

/** Its parts are names, none of them the agent's own; as one text without what is left over. */
const pathOf = (name: string): string => {
  if (name.includes("\ufffd") && textOf(Buffer.from(name)) !== name) throw unusable(`${name} is no text`)
  const split = splitPath(Buffer.from(name))
  if (Either.isLeft(split)) throw unusable(`${name} ${split.left}`)
  return split.right.map((part) => Buffer.from(part).toString()).join("/")
}

const kinds = { file: "file", symlink: "link", directory: "folder" } as const

export interface Unpacked {
  readonly totals: ArchiveTotals
  readonly plan: Omit<Plan, "rootMade">
}

/** Takes an archive's entries in their order, into the place's folder of what is new. */
class Unpacker {
  readonly #place: Folder
  readonly #data: Folder
  readonly #receiver: Receiver
  readonly #digests = new Map<string, string>()
  readonly #folders = new Map<string, FolderFacts>()
  readonly #databases = new Set<string>()
  #header: ArchiveHeader | undefined
  #headerText: Buffer = Buffer.alloc(0)
  #coverage: Coverage | undefined
  /** The file that is not ended yet: it may come once more, when it changed while it was packed. */
  #open: { readonly path: string; readonly size: number } | undefined
  #sums: string | undefined
  #links = 0
  #bytes = 0
  #entries = 0

  constructor(place: Folder, data: Folder) {
    this.#place = place
    this.#data = data
    let drafts = 0
    this.#receiver = new Receiver({
      root: data.asRoot(),
      place: [],
      tree: true,
      mode: undefined,
      inheritOwner: false,
      exact: true,
      partial: () => place,
      partialName: () => Buffer.from(`draft-${drafts++}`),
      take: () => true,
      letGo: () => {}
    })
  }

  get totals(): ArchiveTotals {
    return { files: this.#digests.size + this.#links, bytes: this.#bytes }
  }

  async *take(entry: Entry): AsyncGenerator<ArchiveTotals> {
    const header = entry.header as Pax
    const { name, size, type } = header
    this.#entries += 1
    if (this.#entries > MOST_ENTRIES + 2) throw unusable(`it holds more than ${MOST_ENTRIES} files and folders`)
    if (this.#sums !== undefined) throw unusable("more comes after its end")
    if (this.#header === undefined) {
      if (name !== HEADER_NAME || type !== "file") throw unusable("it does not begin with a snapshot's header")
      const bytes = await whole(entry, MOST_HEADER_BYTES)
      this.#header = decodeHeader(bytes.toString())
      this.#coverage = coverage(this.#header)
      this.#headerText = bytes
      return
    }
    if (name === HEADER_NAME) throw unusable("it has a second header")
    const kind = kinds[type as keyof typeof kinds]
    if (kind === undefined)
      throw unusable(`${name} is ${type === "link" ? "a hard link" : `a ${type ?? "thing of an unknown kind"}`}`)
    if (name === SUMS_NAME) {
      await this.#end()
      this.#sums = (await whole(entry, MOST_SUMS_BYTES)).toString()
      return
    }
    const path = pathOf(name)
    const isFile = (one: string) => this.#digests.has(one) || this.#open?.path === one
    const onTheWay = path.split("/").map((_, i, parts) => parts.slice(0, kind === "folder" ? i + 1 : i).join("/"))
    const file = onTheWay.find(isFile)
    if (file !== undefined) throw unusable(`${file} is a file, and is no folder for ${path}`)
    const facts = factsOf(path, header)
    if (kind === "folder") {
      await this.#end()
      return this.#folder(path, facts)
    }
    if (path === "") throw unusable("a file has no name")
    if (this.#coverage?.holds(path) !== true) throw unusable(`it holds ${path}, which it says it does not`)
    const owner = { uid: facts.uid, gid: facts.gid }
    const common = { path: Buffer.from(path), mode: facts.mode, modifiedMs: facts.modifiedMs, owner, offset: 0 }
    if (kind === "link") {
      await this.#end()
      const target = Buffer.from(header.linkname ?? "")
      await this.#receiver.take({ _tag: "Entry", entry: { ...common, kind, size: 0, target } })
      this.#links += 1
      return
    }
    if (this.#open?.path !== path) await this.#end()
    else this.#bytes -= this.#open.size
    if (!Number.isSafeInteger(size)) throw unusable(`${path}: its size makes no sense`)
    if (!hasRoom(this.#place, size)) throw new FilesDiskFull({ path })
    await this.#receiver.take({ _tag: "Entry", entry: { ...common, kind, size } })
    this.#open = { path, size }
    const before = this.#bytes
    let told = before
    const first = firstBytes()
    for await (const chunk of loosely(entry) as AsyncIterable<Buffer>) {
      first.add(chunk)
      await this.#receiver.take({ _tag: "Data", bytes: chunk })
      this.#bytes += chunk.length
      if (this.#bytes - told < PROGRESS_BYTES) continue
      told = this.#bytes
      yield this.totals
    }
    this.#bytes = before + size
    if (first.isDatabase()) this.#databases.add(path)
    else this.#databases.delete(path)
  }

  async #folder(path: string, facts: FolderFacts) {
    if (this.#folders.has(path)) throw unusable(`the folder ${path || "."} comes twice`)
    if (path !== "") {
      if (path.split("/").some((_, i, parts) => this.#coverage?.excluded(parts.slice(0, i + 1).join("/")))) {
        throw unusable(`it holds ${path}, which it says it does not`)
      }
      const entry = { path: Buffer.from(path), kind: "folder", mode: 0o700, size: 0, modifiedMs: 0, offset: 0 } as const
      await this.#receiver.take({ _tag: "Entry", entry })
    }
    this.#folders.set(path, facts)
  }

  async #end() {
    if (this.#open === undefined) return
    const { path } = this.#open
    this.#open = undefined
    this.#digests.set(path, Buffer.from(await this.#receiver.finish()).toString("hex"))
  }

  /** All has come: whether it is what was packed. */
  async finish(sqlite: SqliteOptions, signal: AbortSignal): Promise<Unpacked> {
    if (this.#header === undefined) throw unusable("it is empty")
    if (this.#sums === undefined) throw unusable("it was cut before its end")
    await this.#receiver.take({ _tag: "Last" })
    await this.#receiver.done()
    this.#compare(this.#sums)
    const databases = [...this.#databases].filter((path) => this.#digests.has(path))
    for (const path of databases) {
      this.#beside(path, (folder, name) => {
        if (folder.stat(name) === undefined) return
        throw unusable(`it holds ${folder.shown(name)} beside a database, which would change it`)
      })
    }
    await checkDatabases(sqlite, this.#data, databases, signal)
    // Nothing stays of what SQLite may have left beside them.
    for (const path of databases) this.#beside(path, (folder, name) => folder.unlink(name))
    return { totals: this.totals, plan: { header: this.#header, folders: [...this.#folders.values()] } }
  }

  /** Whatever happens: nothing is open any more. */
  close(): Promise<void> {
    return this.#receiver.end(false)
  }

  #beside(path: string, use: (folder: Folder, name: Buffer) => void) {
    this.#at(path, (folder, name) => {
      for (const end of COMPANIONS) use(folder, Buffer.concat([name, Buffer.from(end)]))
    })
  }

  #at(path: string, use: (folder: Folder, name: Buffer) => void) {
    const parts = path.split("/").map((part) => Buffer.from(part))
    const folder = holding(this.#data, parts)
    try {
      use(folder, parts.at(-1) as Buffer)
    } finally {
      if (folder !== this.#data) folder.close()
    }
  }

  #compare(text: string) {
    const sums = parseSums(text)
    if (Either.isLeft(sums)) throw unusable(`its list of digests cannot be read: ${sums.left}`)
    const { files, leftOut } = sums.right
    const header = createHash("sha256").update(this.#headerText).digest("hex")
    if (files.get(HEADER_NAME) !== header) throw unusable("its header is not the one that was packed")
    for (const [path, digest] of this.#digests) {
      if (leftOut.has(path)) {
        this.#at(path, (folder, name) => {
          this.#bytes -= folder.stat(name)?.size ?? 0
          folder.unlink(name)
        })
        this.#digests.delete(path)
      } else if (files.get(path) !== digest) throw unusable(`${path} is not what was packed`)
    }
    if (files.size !== this.#digests.size + 1) throw unusable("its list of digests names files that are not in it")
  }
}

/** Whether a file's first bytes are those of a database. */
const firstBytes = () => {
  let first = Buffer.alloc(0)
  return {
    add: (chunk: Uint8Array) => {
      if (first.length < MAGIC.length) first = Buffer.concat([first, chunk.subarray(0, MAGIC.length)])
    },
    isDatabase: () => first.subarray(0, MAGIC.length).equals(MAGIC)
  }
}

/** All of an archive, verified, in the place's folder of what is new. Answers what has come meanwhile. */
export async function* unpack(
  place: Folder,
  packed: Zstd,
  sqlite: SqliteOptions,
  signal: AbortSignal
): AsyncGenerator<ArchiveTotals, Unpacked> {
  const data = place.make(NEW, 0o700, undefined).folder
  const unpacker = new Unpacker(place, data.asRoot())
  const tar = extract()
  const over = new AbortController()
  const stop = () => {
    packed.kill()
    over.abort()
    tar.destroy(new Error("interrupted"))
  }
  // Told of by its iterator too.
  tar.on("error", () => over.abort())
  signal.addEventListener("abort", stop)
  let broken: string | undefined
  const feeding = (async () => {
    for await (const bytes of packed.output) {
      if (tar.write(bytes)) continue
      // Over is over, whether it says so or not.
      await once(tar, "drain", { signal: over.signal }).catch(() => {})
      if (over.signal.aborted || tar.destroying) return
    }
    broken = await packed.ended
    if (broken === undefined) tar.end(undefined)
    else tar.destroy(new Error(broken))
  })().catch((cause) => {
    tar.destroy(cause as Error)
    return cause as unknown
  })
  try {
    try {
      for await (const entry of loosely(tar)) yield* unpacker.take(entry)
    } catch (cause) {
      signal.throwIfAborted()
      over.abort()
      const failed = broken === undefined && tar.destroying ? await feeding : undefined
      if (failed instanceof ArchiverUnusable) throw failed
      if (broken !== undefined) throw unusable(`zstd says: ${broken}`)
      throw cause
    }
    signal.throwIfAborted()
    const failed = await feeding
    if (failed !== undefined) throw failed
    return await unpacker.finish(sqlite, signal)
  } catch (cause) {
    throw unpackError(cause)
  } finally {
    signal.removeEventListener("abort", stop)
    stop()
    await feeding
    await unpacker.close()
    data.close()
  }
}

/** What tar and our own rules say of an archive; a disk that is full or broken is another matter. */
export const unpackError = (cause: unknown) => {
  if (cause instanceof ArchiveUnusable || cause instanceof ArchiverUnusable) return cause
  const error = fileError("the snapshot", cause)
  if (error._tag === "FilesDiskFull") return error
  if (error._tag !== "FileUnusable") return unusable(error.message.replace(/; what was there before is as it was$/, ""))
  return codeOf(cause) === "" && error !== cause ? unusable(`it is damaged: ${(cause as Error).message}`) : error
}
