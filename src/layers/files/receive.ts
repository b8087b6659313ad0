import * as fs from "node:fs"
import { Either } from "effect"
import { type FileEntry, type FilePart, RESUMABLE_BYTES, type Received } from "../../domain/FileParts.ts"
import { splitPath, staysInside } from "../../domain/FilePath.ts"
import { FileRefused, PathOutsideRoot, TransferBroken } from "../../services/FileTransfer.ts"
import type { Folder, Owner } from "./Folder.ts"
import { fileError, special } from "./failure.ts"
import { openPartial, Partial } from "./partial.ts"

const AT_ONCE = 16

export interface ReceiveOptions {
  /** Where nothing is written outside of. */
  readonly root: Folder
  /** The path of the transfer below the root. */
  readonly place: ReadonlyArray<Uint8Array>
  readonly tree: boolean
  readonly mode: number | undefined
  /** New files and folders belong to whom their folder belongs to; else to whoever runs this. */
  readonly inheritOwner: boolean
  /** Owner and time are the entry's, and nothing may be there before. */
  readonly exact?: boolean
  /** Where a file lies until it is whole, by where it will be: on the same file system. */
  readonly partial: (target: Folder) => Folder
  /** Its name there; the same again for a file that can be gone on with. */
  readonly partialName: (entry: FileEntry, path: Uint8Array) => Uint8Array
  /** Nobody else writes to that name until it is let go; false when somebody does. */
  readonly take: (name: Uint8Array) => boolean
  readonly letGo: (name: Uint8Array) => void
}

interface Open {
  readonly folder: Folder
  readonly name: Uint8Array
  readonly part: Uint8Array
  /** Finished files of this folder that are on their way to the disk. */
  readonly busy: Set<Promise<void>>
  dirty: boolean
}

interface Incoming {
  readonly entry: FileEntry
  readonly open: Open
  readonly partial: Partial
  readonly resumable: boolean
}

const equal = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0
const NOTHING = new Uint8Array()
/** What a temporary name is made of: `--resume` looks for the same again. */
export const keyOf = (parts: ReadonlyArray<Uint8Array>) =>
  Buffer.concat(parts.flatMap((part) => [part, Buffer.from("/")]))

/** Takes a transfer's parts in their order. Every way out goes through `end`, which closes and clears. */
export class Receiver {
  readonly #options: ReceiveOptions
  /** The folders down to the one that is written to, the root first. */
  readonly #path: Array<Open>
  readonly #tasks = new Set<Promise<void>>()
  readonly #skipped: Array<Received["skipped"][number]> = []
  #failed: { readonly cause: unknown } | undefined
  #incoming: Incoming | undefined
  #complete = false
  #files = 0
  #bytes = 0

  constructor(options: ReceiveOptions) {
    this.#options = options
    this.#path = [{ folder: options.root, name: NOTHING, part: NOTHING, busy: new Set(), dirty: false }]
  }

  async take(part: FilePart): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed.cause
    if (this.#complete) throw this.#malformed("more came after the end")
    switch (part._tag) {
      case "Entry":
        return this.#entry(part.entry)
      case "Data":
        return this.#data(part.bytes)
      case "End":
        await this.#finish(part.sha256)
        return
      case "Skipped":
        await this.#drop()
        this.#skipped.push({ path: part.path, why: part.why })
        return
      case "Last":
        if (this.#incoming !== undefined) throw this.#malformed("the end came in the middle of a file")
        this.#complete = true
    }
  }

  /** Ends a file whose digest comes from elsewhere, and answers what it is. */
  async finish(): Promise<Uint8Array> {
    if (this.#failed !== undefined) throw this.#failed.cause
    return this.#finish(undefined)
  }

  /** Once all is on the disk; without the last part what came was cut. */
  async done(): Promise<Received> {
    if (!this.#complete) throw this.#malformed("the transfer was cut before its end")
    await this.#leaveTo(0)
    await Promise.all(this.#tasks)
    if (this.#failed !== undefined) throw this.#failed.cause
    const [root] = this.#path
    if (root?.dirty) await root.folder.sync()
    return { files: this.#files, bytes: this.#bytes, skipped: this.#skipped }
  }

  /** `keep` leaves what can be gone on with. The root is the caller's. */
  async end(keep: boolean): Promise<void> {
    await this.#drop(keep)
    await this.#leaveTo(0)
    await Promise.all(this.#tasks)
  }

  #twice(path: string) {
    return new TransferBroken({ path, why: "it comes twice" })
  }

  #malformed(why: string) {
    const at = this.#incoming
    return new TransferBroken({ path: at === undefined ? "the transfer" : at.partial.shown, why })
  }

  async #entry(entry: FileEntry) {
    await this.#drop()
    if (!this.#options.tree && (entry.kind !== "file" || entry.path.length > 0)) {
      throw this.#malformed("a folder came where one file was meant")
    }
    const split = splitPath(entry.path)
    if (Either.isLeft(split)) throw new PathOutsideRoot({ path: Buffer.from(entry.path).toString(), why: split.left })
    const parts = [...this.#options.place, ...split.right]
    const name = parts.at(-1)
    if (entry.kind === "folder") {
      await this.#enter(parts, entry.mode)
      return
    }
    if (name === undefined) {
      throw new FileRefused({ path: ".", why: "is the service's own folder", nextStep: "name the file in it" })
    }
    const open = await this.#enter(parts.slice(0, -1), 0o755)
    if (entry.kind === "link") return this.#link(entry, open, name, parts)
    if (entry.kind === "other") throw special(open.folder.shown(name))
    await this.#begin(entry, open, name, parts)
  }

  /** Down to a folder, made where it is missing: `mode` is the last one's. */
  async #enter(parts: ReadonlyArray<Uint8Array>, mode: number): Promise<Open> {
    let common = 0
    while (common < parts.length && equal(this.#path[common + 1]?.part ?? NOTHING, parts[common] as Uint8Array)) {
      common += 1
    }
    await this.#leaveTo(common)
    for (const [i, part] of parts.entries()) {
      if (i < common) continue
      const parent = this.#path[i] as Open
      const { folder, made } = parent.folder.make(part, i === parts.length - 1 ? mode : 0o755, this.#owner(parent))
      if (made) parent.dirty = true
      this.#path.push({ folder, name: part, part, busy: new Set(), dirty: made })
    }
    return this.#path.at(-1) as Open
  }

  #owner({ folder }: Open): Owner | undefined {
    return this.#options.inheritOwner ? fs.fstatSync(folder.fd) : undefined
  }

  async #leaveTo(depth: number) {
    while (this.#path.length > depth + 1) {
      const open = this.#path.pop() as Open
      await this.#task(open.folder.path, async () => {
        await Promise.all(open.busy)
        try {
          if (open.dirty) await open.folder.sync()
        } finally {
          open.folder.close()
        }
      })
    }
  }

  /** A few at a time; the first that fails is what the next part, or the end, fails with. */
  async #task(path: string, run: () => Promise<void>, busy?: Set<Promise<void>>) {
    while (this.#tasks.size >= AT_ONCE) await Promise.race(this.#tasks)
    const task: Promise<void> = run()
      .catch((cause) => {
        this.#failed ??= { cause: fileError(path, cause) }
      })
      .finally(() => {
        this.#tasks.delete(task)
        busy?.delete(task)
      })
    this.#tasks.add(task)
    busy?.add(task)
  }

  /** What is at the name now: a file or a link gives way, and nothing else. */
  #replaceable(folder: Folder, name: Uint8Array): fs.Stats | undefined {
    const there = folder.stat(name)
    if (there?.isDirectory()) {
      throw new FileRefused({
        path: folder.shown(name),
        why: "is a folder",
        nextStep: this.#options.tree
          ? "remove it or give it another name: a folder gives way to no file or link"
          : "end the path with / to write the file into it"
      })
    }
    if (there !== undefined && !there.isFile() && !there.isSymbolicLink()) throw special(folder.shown(name))
    return there
  }

  #link(entry: FileEntry, open: Open, name: Uint8Array, parts: ReadonlyArray<Uint8Array>) {
    const { folder } = open
    const target = entry.target ?? NOTHING
    if (!staysInside(parts.length - 1, target)) {
      throw new PathOutsideRoot({ path: folder.shown(name), why: "is a link that leads out of the folder" })
    }
    if (this.#replaceable(folder, name) !== undefined && this.#options.exact) throw this.#twice(folder.shown(name))
    const partial = this.#options.partial(folder)
    const draft = this.#options.partialName(entry, keyOf(parts))
    try {
      partial.unlink(draft)
      fs.symlinkSync(Buffer.from(target), partial.at(draft))
      const owner = entry.owner ?? this.#owner(open)
      if (owner !== undefined) fs.lchownSync(partial.at(draft), owner.uid, owner.gid)
      if (this.#options.exact) fs.lutimesSync(partial.at(draft), entry.modifiedMs / 1000, entry.modifiedMs / 1000)
      fs.renameSync(partial.at(draft), folder.at(name))
    } catch (cause) {
      partial.unlink(draft)
      throw fileError(folder.shown(name), cause)
    }
    open.dirty = true
    this.#files += 1
  }

  async #begin(entry: FileEntry, open: Open, name: Uint8Array, parts: ReadonlyArray<Uint8Array>) {
    const { folder } = open
    const there = this.#replaceable(folder, name)
    if (there !== undefined && this.#options.exact) throw this.#twice(folder.shown(name))
    const old = there?.isFile() ? there : undefined
    const resumable = !this.#options.tree && entry.size >= RESUMABLE_BYTES
    const partial = {
      folder: this.#options.partial(folder),
      name: this.#options.partialName(entry, keyOf(parts))
    }
    if (!this.#options.take(partial.name)) {
      throw new FileRefused({
        path: folder.shown(name),
        why: "is being written by another transfer of the same file",
        nextStep: "wait until that is over"
      })
    }
    try {
      if (entry.offset > 0 && !resumable) throw this.#malformed("there is nothing to go on with")
      const target = {
        folder,
        name,
        owner: entry.owner ?? (this.#options.inheritOwner ? (old ?? fs.fstatSync(folder.fd)) : undefined),
        mode: (this.#options.mode ?? (old === undefined ? entry.mode : old.mode)) & 0o777,
        modifiedMs: this.#options.exact ? entry.modifiedMs : undefined
      }
      const begun = await openPartial(partial, entry.offset, folder.shown(name))
      this.#incoming = { entry, open, partial: new Partial(partial, target, begun, entry.offset), resumable }
    } catch (cause) {
      this.#options.letGo(partial.name)
      throw cause
    }
  }

  async #data(bytes: Uint8Array) {
    const incoming = this.#incoming
    if (incoming === undefined) throw this.#malformed("data came that belongs to no file")
    const { entry, partial } = incoming
    if (partial.size + bytes.length > entry.size) throw this.#malformed("more came than its size")
    await partial.add(bytes)
  }

  async #finish(sha256: Uint8Array | undefined): Promise<Uint8Array> {
    const incoming = this.#incoming
    if (incoming === undefined) throw this.#malformed("an end came that belongs to no file")
    const { entry, open, partial } = incoming
    const digest = await partial.digest()
    if (partial.size !== entry.size || (sha256 !== undefined && !equal(digest, sha256))) {
      await this.#drop()
      throw new TransferBroken({ path: partial.shown, why: "its digest is not that of what was sent" })
    }
    this.#incoming = undefined
    open.dirty = true
    const settle = () => partial.settle().finally(() => this.#options.letGo(partial.name))
    await this.#task(partial.shown, settle, open.busy)
    this.#files += 1
    this.#bytes += entry.size
    return digest
  }

  /** What is not whole goes, but for what can be gone on with when `keep` says so. */
  async #drop(keep = false) {
    const incoming = this.#incoming
    if (incoming === undefined) return
    this.#incoming = undefined
    const { partial, resumable } = incoming
    try {
      await partial.abandon(keep && resumable)
    } finally {
      this.#options.letGo(partial.name)
    }
  }
}
