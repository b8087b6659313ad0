import { type ChildProcess, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs"
import { FileChanged, FilesDiskFull } from "../../services/FileTransfer.ts"
import { ArchiveUnusable, DatabaseNotCopied } from "../../services/ServiceData.ts"
import { confined, type Folder } from "../files/Folder.ts"
import { hasRoom } from "../files/room.ts"

export type Task =
  | {
      readonly _tag: "Copy"
      /** In the first folder. */
      readonly file: string
      readonly dev: string
      readonly ino: string
      /** Whether its header says that it has a log. */
      readonly wal: boolean
      /** An empty file in the second folder. */
      readonly target: string
      readonly busyMs: number
    }
  /** Below the first folder. */
  | { readonly _tag: "Check"; readonly files: ReadonlyArray<string> }

export type Answer =
  | { readonly _tag: "Done" }
  | { readonly _tag: "Damaged"; readonly why: string }
  /** What was opened is not what was asked for. */
  | { readonly _tag: "Replaced" }
  | { readonly _tag: "Busy" }
  | { readonly _tag: "Full" }
  | { readonly _tag: "Failed"; readonly why: string }

export const MAGIC = Buffer.from("SQLite format 3\0")
const HEADER_BYTES = 20

export const COMPANIONS = ["-wal", "-shm", "-journal"] as const

/** The name of the database that a log or such belongs to, by its own name alone. */
export const databaseOf = (name: Buffer): Buffer | undefined => {
  const end = COMPANIONS.find((one) => name.length > one.length && name.subarray(-one.length).equals(Buffer.from(one)))
  return end === undefined ? undefined : name.subarray(0, -end.length)
}

/** Undefined when an open file is no SQLite database; else whether it has a log beside it (WAL). */
export const databaseIn = (fd: number): { readonly wal: boolean } | undefined => {
  const header = Buffer.alloc(HEADER_BYTES)
  const length = fs.readSync(fd, header, 0, HEADER_BYTES, 0)
  if (length < MAGIC.length || !header.subarray(0, MAGIC.length).equals(MAGIC)) return undefined
  return { wal: header[18] === 2 }
}

export const isDatabase = (folder: Folder, name: Uint8Array): boolean => {
  if (!folder.stat(name)?.isFile()) return false
  const fd = folder.openFile(name)
  try {
    return databaseIn(fd) !== undefined
  } finally {
    fs.closeSync(fd)
  }
}

export interface SqliteOptions {
  /** Runs sqliteProgram.ts. */
  readonly command: ReadonlyArray<string>
  /** How long a database that somebody else has locked is waited for. */
  readonly busyMs: number
}

/** One task in a process of its own, which is killed when it is not waited for any more. */
const run = async (
  { command: [program, ...args] }: SqliteOptions,
  task: Task,
  folders: ReadonlyArray<Folder>,
  temporary: Folder | undefined,
  signal: AbortSignal
): Promise<Answer> => {
  signal.throwIfAborted()
  const child: ChildProcess = spawn(program ?? process.execPath, args, {
    stdio: ["pipe", "pipe", "pipe", ...folders.map(({ fd }) => fd)],
    // Sorting goes where the copy goes, not to a small /tmp.
    env: temporary === undefined ? {} : { SQLITE_TMPDIR: fs.readlinkSync(`/proc/self/fd/${temporary.fd}`) }
  })
  const kill = () => void child.kill("SIGKILL")
  signal.addEventListener("abort", kill)
  const said: Array<Buffer> = []
  const complained: Array<Buffer> = []
  child.stdout?.on("data", (bytes: Buffer) => said.push(bytes))
  child.stderr?.on("data", (bytes: Buffer) => complained.length < 16 && complained.push(bytes))
  child.stdin?.on("error", () => {})
  child.stdin?.end(JSON.stringify(task))
  try {
    const ended = await new Promise<string>((resolve) => {
      child.once("error", (cause) => resolve(cause.message))
      child.once("close", (code, killed) => resolve(killed ?? `exit code ${code}`))
    })
    signal.throwIfAborted()
    try {
      return JSON.parse(Buffer.concat(said).toString()) as Answer
    } catch {
      const line = Buffer.concat(complained)
        .toString()
        .trim()
        .split("\n")
        .find((one) => /Error|error/.test(one))
      return { _tag: "Failed", why: `SQLite's process ended: ${line ?? ended}` }
    }
  } finally {
    signal.removeEventListener("abort", kill)
  }
}

/**
 * Where copies lie, beside the services' folders: SQLite opens by paths, and below a service's own folder one could be
 * led elsewhere by a link. Nobody but the agent can write here.
 */
const COPIES = ".mcp-copies"

let users = 0

const copies = (filesRoot: string) => {
  const folder = confined(filesRoot, COPIES, true)
  if (folder === undefined) throw new Error(`no ${COPIES}`)
  users += 1
  fs.fchmodSync(folder.fd, 0o700)
  return {
    folder,
    close: () => {
      folder.close()
      users -= 1
      if (users === 0) removeFolder(filesRoot)
    }
  }
}

const removeFolder = (filesRoot: string) => {
  try {
    fs.rmdirSync(`${filesRoot}/${COPIES}`)
  } catch {}
}

/** What agents that were killed have left. */
export const sweepCopies = (filesRoot: string): void => {
  const folder = confined(filesRoot, COPIES)
  if (folder === undefined) return
  try {
    for (const name of folder.names()) folder.unlink(name)
  } finally {
    folder.close()
    removeFolder(filesRoot)
  }
}

const EXCLUDE = "repair it, or leave it out by [snapshot] excludes"

/**
 * One state of a database, whatever its users do meanwhile, as an open file that has no name any more. `fd` is held
 * open by the caller: the copy is of that very file, or none.
 */
export const copyOf = async (
  options: SqliteOptions & { readonly filesRoot: string },
  folder: Folder,
  name: Buffer,
  fd: number,
  signal: AbortSignal
): Promise<number> => {
  const path = folder.shown(name)
  const fails = (why: string) => new DatabaseNotCopied({ path, why })
  const { dev, ino, size } = fs.fstatSync(fd, { bigint: true })
  const { close, folder: place } = copies(options.filesRoot)
  const target = `once-${randomUUID()}.db`
  const drop = () => {
    for (const end of ["", ...COMPANIONS]) place.unlink(Buffer.from(target + end))
  }
  try {
    if (!hasRoom(place, Number(size))) throw new FilesDiskFull({ path: `${options.filesRoot}/${COPIES}` })
    const copy = fs.openSync(place.at(Buffer.from(target)), "wx+", 0o600)
    try {
      const task: Task = {
        _tag: "Copy",
        file: name.toString(),
        dev: String(dev),
        ino: String(ino),
        wal: databaseIn(fd)?.wal === true,
        target,
        busyMs: options.busyMs
      }
      const answer = await run(options, task, [folder, place], place, signal)
      if (answer._tag !== "Done" && folder.stat(name)?.ino !== Number(ino)) throw new FileChanged({ path })
      switch (answer._tag) {
        case "Done":
          return copy
        case "Replaced":
          throw new FileChanged({ path })
        case "Damaged":
          throw fails(`it is damaged (${answer.why}): ${EXCLUDE}`)
        case "Busy":
          throw fails(`another program kept it locked for ${options.busyMs / 1000} s`)
        case "Full":
          throw new FilesDiskFull({ path: `${options.filesRoot}/${COPIES}` })
        case "Failed":
          throw fails(answer.why)
      }
    } catch (cause) {
      fs.closeSync(copy)
      throw cause
    }
  } finally {
    drop()
    close()
  }
}

/** Refuses what SQLite finds damaged. Nobody else uses these. */
export const checkDatabases = async (
  options: SqliteOptions,
  folder: Folder,
  files: ReadonlyArray<string>,
  signal: AbortSignal
): Promise<void> => {
  if (files.length === 0) return
  const answer = await run(options, { _tag: "Check", files }, [folder], undefined, signal)
  if (answer._tag === "Done") return
  throw new ArchiveUnusable({
    why: "why" in answer ? `a database in it, ${answer.why}` : `SQLite says: ${answer._tag}`
  })
}
