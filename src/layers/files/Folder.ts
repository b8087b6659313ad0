import * as fs from "node:fs"
import { promisify } from "node:util"
import { shown } from "../../domain/FilePath.ts"
import { PathOutsideRoot } from "../../services/FileTransfer.ts"
import { codeOf, fileError, isLink, notAFolder } from "./failure.ts"

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = fs.constants

const fsync = promisify(fs.fsync)
const FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW

/** An open folder, and what is done in it by name: a name is one part of a path, and no link is ever followed. */
export class Folder {
  readonly fd: number
  /** How people know it; empty for the root. */
  readonly path: string
  readonly #where: Buffer
  readonly #mount: Mount | undefined
  constructor(fd: number, path: string, where: Buffer, mount: Mount | undefined) {
    this.fd = fd
    this.path = path
    this.#where = where
    this.#mount = mount
  }

  /** The same folder, with paths shown from here. Closed as this one. */
  asRoot(): Folder {
    return new Folder(this.fd, "", this.#where, this.#mount)
  }

  at(name: Uint8Array): Buffer {
    return Buffer.concat([this.#where, name])
  }

  shown(name: Uint8Array): string {
    return this.path === "" ? shown(name) : `${this.path}/${shown(name)}`
  }

  open(name: Uint8Array): Folder {
    let fd: number
    try {
      fd = fs.openSync(this.at(name), FOLDER)
    } catch (cause) {
      if (codeOf(cause) === "ENOTDIR" || codeOf(cause) === "ELOOP") {
        throw this.stat(name)?.isSymbolicLink() ? isLink(this.shown(name)) : notAFolder(this.shown(name))
      }
      throw fileError(this.shown(name), cause)
    }
    if (this.#mount === undefined) return new Folder(fd, this.shown(name), joined(this.at(name)), undefined)
    if (!isOn(fd, this.#mount)) {
      fs.closeSync(fd)
      throw new PathOutsideRoot({ path: this.shown(name), why: "is another file system, mounted there" })
    }
    return new Folder(fd, this.shown(name), byDescriptor(fd), this.#mount)
  }

  /** Of a link itself; undefined when there is nothing. */
  stat(name: Uint8Array): fs.Stats | undefined {
    try {
      return fs.lstatSync(this.at(name))
    } catch (cause) {
      if (codeOf(cause) === "ENOENT") return undefined
      throw fileError(this.shown(name), cause)
    }
  }

  /** A regular file for reading; anything else has to be told apart before. */
  openFile(name: Uint8Array): number {
    return this.#file(name, O_RDONLY | O_NONBLOCK)
  }

  reopenFile(name: Uint8Array): number {
    return this.#file(name, O_RDWR | O_NONBLOCK)
  }

  createFile(name: Uint8Array): number {
    return this.#file(name, O_WRONLY | O_CREAT | O_EXCL)
  }

  #file(name: Uint8Array, flags: number): number {
    try {
      const fd = fs.openSync(this.at(name), flags | O_NOFOLLOW, 0o600)
      const device = this.#mount?.device
      if (device === undefined || fs.fstatSync(fd).dev === device) return fd
      fs.closeSync(fd)
    } catch (cause) {
      throw fileError(this.shown(name), cause)
    }
    throw new PathOutsideRoot({ path: this.shown(name), why: "lies on another file system" })
  }

  /** A folder that was there stays as it is. */
  make(name: Uint8Array, mode: number, owner: Owner | undefined): { readonly folder: Folder; readonly made: boolean } {
    let made = false
    try {
      fs.mkdirSync(this.at(name), 0o700)
      made = true
    } catch (cause) {
      if (codeOf(cause) !== "EEXIST") throw fileError(this.shown(name), cause)
    }
    const folder = this.open(name)
    try {
      if (made && owner !== undefined) fs.fchownSync(folder.fd, owner.uid, owner.gid)
      if (made) fs.fchmodSync(folder.fd, mode & 0o777)
    } catch (cause) {
      folder.close()
      throw fileError(folder.path, cause)
    }
    return { folder, made }
  }

  /** Never a folder; nothing is done when it is not there. */
  unlink(name: Uint8Array): void {
    try {
      fs.unlinkSync(this.at(name))
    } catch (cause) {
      if (codeOf(cause) !== "ENOENT") throw fileError(this.shown(name), cause)
    }
  }

  /** Nothing may be there; on the same file system. */
  moveTo(name: Uint8Array, folder: Folder): void {
    try {
      fs.renameSync(this.at(name), folder.at(name))
    } catch (cause) {
      throw fileError(this.shown(name), cause)
    }
  }

  names(): ReadonlyArray<Buffer> {
    try {
      return fs.readdirSync(this.#where, { encoding: "buffer" }).sort(Buffer.compare)
    } catch (cause) {
      throw fileError(this.path, cause)
    }
  }

  async sync(): Promise<void> {
    await fsync(this.fd)
  }

  close(): void {
    fs.closeSync(this.fd)
  }
}

export interface Owner {
  readonly uid: number
  readonly gid: number
}

interface Mount {
  readonly device: number
  readonly id: string | undefined
}

const joined = (path: Buffer) => Buffer.concat([path, Buffer.from("/")])
const byDescriptor = (fd: number) => Buffer.from(`/proc/self/fd/${fd}/`)

// What is mounted from a folder of the same file system has its device too.
const mountOf = (fd: number) => /^mnt_id:\s*(\d+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"))?.[1]

const isOn = (fd: number, mount: Mount) => fs.fstatSync(fd).dev === mount.device && mountOf(fd) === mount.id

const madeOrThere = (at: Buffer) => {
  try {
    fs.mkdirSync(at, 0o755)
  } catch (cause) {
    if (codeOf(cause) !== "EEXIST") throw cause
  }
}

/**
 * The folder `name` of `root`, confined: every part below it is opened under its opened parent, so that a link swapped in
 * meanwhile leads nowhere. Linux only. Undefined when it is not there and is not to be made.
 */
export const confined = (root: string, name: string, make = false): Folder | undefined => {
  let parent: number
  try {
    if (make) fs.mkdirSync(root, { recursive: true, mode: 0o755 })
    parent = fs.openSync(root, O_RDONLY | O_DIRECTORY)
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined
    throw fileError(root, cause)
  }
  const at = Buffer.concat([byDescriptor(parent), Buffer.from(name)])
  try {
    if (make) madeOrThere(at)
    const fd = fs.openSync(at, FOLDER)
    return new Folder(fd, "", byDescriptor(fd), { device: fs.fstatSync(fd).dev, id: mountOf(fd) })
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined
    if (codeOf(cause) === "ENOTDIR" || codeOf(cause) === "ELOOP") {
      throw new PathOutsideRoot({ path: `${root}/${name}`, why: "is a link or no folder" })
    }
    throw fileError(`${root}/${name}`, cause)
  } finally {
    fs.closeSync(parent)
  }
}

/** The folder that holds a path below the root. The caller closes it, when it is not the root. */
export const holding = (root: Folder, parts: ReadonlyArray<Uint8Array>): Folder => {
  let folder = root
  for (const part of parts.slice(0, -1)) {
    try {
      const next = folder.open(part)
      if (folder !== root) folder.close()
      folder = next
    } catch (cause) {
      if (folder !== root) folder.close()
      throw cause
    }
  }
  return folder
}

/** A folder of the operator's own machine, by its path; links on the way to it are followed. */
export const plain = (path: string): Folder => {
  try {
    return new Folder(fs.openSync(path, O_RDONLY | O_DIRECTORY), path, joined(Buffer.from(path)), undefined)
  } catch (cause) {
    throw fileError(path, cause)
  }
}
