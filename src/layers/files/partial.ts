import { createHash, type Hash } from "node:crypto"
import * as fs from "node:fs"
import { promisify } from "node:util"
import { FileUnusable, TransferBroken } from "../../services/FileTransfer.ts"
import { hashed, writeAt } from "./bytes.ts"
import type { Folder, Owner } from "./Folder.ts"
import { fileError, isLink } from "./failure.ts"

const fsync = promisify(fs.fsync)
const fdatasync = promisify(fs.fdatasync)

/** After so much more the disk is given what there is, while the rest still comes: else all of it waits for the end. */
const SYNC_BYTES = 64 * 1024 * 1024

interface Place {
  readonly folder: Folder
  readonly name: Uint8Array
}

interface Begun {
  readonly fd: number
  readonly hash: Hash
}

/** Where it goes when it is whole. */
interface Target extends Place {
  readonly owner: Owner | undefined
  readonly mode: number
  /** Undefined: when it came. */
  readonly modifiedMs: number | undefined
}

/** A new file, or one whose first bytes are there already. */
export const openPartial = async ({ folder, name }: Place, offset: number, shown: string): Promise<Begun> => {
  if (offset === 0) {
    folder.unlink(name)
    try {
      return { fd: folder.createFile(name), hash: createHash("sha256") }
    } catch (cause) {
      // The temporary name means nothing to who asked for another.
      throw cause instanceof FileUnusable ? new FileUnusable({ path: shown, why: cause.why }) : cause
    }
  }
  const fd = folder.reopenFile(name)
  try {
    const stat = fs.fstatSync(fd)
    const hash = stat.isFile() && stat.nlink === 1 && stat.size >= offset ? await hashed(fd, offset) : undefined
    if (hash === undefined) throw new TransferBroken({ path: shown, why: "what was there to go on with has gone" })
    fs.ftruncateSync(fd, offset)
    return { fd, hash }
  } catch (cause) {
    fs.closeSync(fd)
    throw fileError(shown, cause)
  }
}

/** A file under its temporary name. Its end is `settle` or `abandon`. */
export class Partial {
  readonly #place: Place
  readonly #target: Target
  readonly #fd: number
  readonly #hash: Hash
  /** How much has come. */
  size: number
  #synced: number
  #writing = Promise.resolve()
  #syncing = Promise.resolve()
  #idle = true

  constructor(place: Place, target: Target, { fd, hash }: Begun, size: number) {
    this.#place = place
    this.#target = target
    this.#fd = fd
    this.#hash = hash
    this.size = size
    this.#synced = size
  }

  get name(): Uint8Array {
    return this.#place.name
  }

  get shown(): string {
    return this.#target.folder.shown(this.#target.name)
  }

  /** Written while it is digested, and while the next piece comes. */
  async add(bytes: Uint8Array): Promise<void> {
    const position = this.size
    this.size += bytes.length
    await this.#written()
    if (position - this.#synced >= SYNC_BYTES && this.#idle) this.#sync(position)
    this.#writing = writeAt(this.#fd, bytes, position)
    this.#writing.catch(() => {})
    this.#hash.update(bytes)
  }

  // The kernel tells each failure once: it is kept for `settle`, and no more is tried.
  #sync(position: number) {
    this.#synced = position
    this.#idle = false
    this.#syncing = fdatasync(this.#fd).then(() => {
      this.#idle = true
    })
    this.#syncing.catch(() => {})
  }

  async #written() {
    try {
      await this.#writing
    } catch (cause) {
      throw fileError(this.shown, cause)
    }
  }

  async digest(): Promise<Uint8Array> {
    await this.#written()
    return this.#hash.digest()
  }

  /** To the disk, and into its place. */
  async settle(): Promise<void> {
    const { folder, mode, modifiedMs, name, owner } = this.#target
    let moved = false
    try {
      if (owner !== undefined) fs.fchownSync(this.#fd, owner.uid, owner.gid)
      fs.fchmodSync(this.#fd, mode)
      if (modifiedMs !== undefined) fs.futimesSync(this.#fd, modifiedMs / 1000, modifiedMs / 1000)
      await this.#syncing
      await fsync(this.#fd)
      // Whoever may write to the folder could have put something else in its place.
      if (this.#place.folder.stat(this.name)?.ino !== fs.fstatSync(this.#fd).ino) throw isLink(this.shown)
      fs.renameSync(this.#place.folder.at(this.name), folder.at(name))
      moved = true
    } finally {
      fs.closeSync(this.#fd)
      if (!moved) this.#place.folder.unlink(this.name)
    }
  }

  /** What could not be written is not kept. */
  async abandon(keep: boolean): Promise<void> {
    const ended = await Promise.allSettled([this.#writing, this.#syncing])
    const failed = ended.some(({ status }) => status === "rejected")
    fs.closeSync(this.#fd)
    if (!keep || failed) this.#place.folder.unlink(this.name)
  }
}
