import { createHash } from "node:crypto"
import { Either } from "effect"
import { type Coverage, coverage } from "../../domain/Coverage.ts"
import { parseSums } from "../../domain/Sha256Sums.ts"
import { FilesDiskFull } from "../../services/FileTransfer.ts"
import type { ArchiveHeader, ArchiveTotals } from "../../services/ServiceData.ts"
import { type Folder, holding } from "../files/Folder.ts"
import { Receiver } from "../files/receive.ts"
import { hasRoom } from "../files/room.ts"
import { COMPANIONS, checkDatabases, MAGIC, type SqliteOptions } from "./databases.ts"
import {
  decodeHeader,
  type Entry,
  factsOf,
  kinds,
  loosely,
  MOST_HEADER_BYTES,
  type Pax,
  pathOf,
  unusable,
  whole
} from "./entry.ts"
import type { FolderFacts, Plan } from "./place.ts"
import { MOST_ENTRIES } from "./TarWriter.ts"
import { HEADER_NAME, SUMS_NAME } from "./walk.ts"

const MOST_SUMS_BYTES = 256 * 1024 * 1024
const PROGRESS_BYTES = 16 * 1024 * 1024

export interface Unpacked {
  readonly totals: ArchiveTotals
  readonly plan: Omit<Plan, "rootMade">
}

/** Takes an archive's entries in their order, into the place's folder of what is new. */
export class Unpacker {
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
