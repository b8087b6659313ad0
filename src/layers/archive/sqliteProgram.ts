/*
 * A program of its own, run by databases.ts: SQLite never waits, so it would hold up the agent, and its locks are those
 * of a process, which lets go of them when anything in it closes the same file. It can be killed at any time.
 */
import * as fs from "node:fs"
import Database from "better-sqlite3"
import type { Answer, Task } from "./databases.ts"

const task = JSON.parse(fs.readFileSync(0, "utf8")) as Task
const parent = process.ppid

const HERE = "/proc/self/fd"
/** The first folder that the agent has given, and the second. */
const SOURCE = `${HERE}/3`
const TARGET = `${HERE}/4`

const codeOf = (cause: unknown) => (cause instanceof Error && "code" in cause ? String(cause.code) : "")

const open = () => new Map(fs.readdirSync(HERE).flatMap((fd) => statOf(fd)))
const statOf = (fd: string): ReadonlyArray<readonly [string, fs.BigIntStats]> => {
  const stat = fs.statSync(`${HERE}/${fd}`, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? [] : [[fd, stat]]
}
const same = (a: fs.BigIntStats | undefined, b: fs.BigIntStats) => a?.dev === b.dev && a.ino === b.ino

/** What is wrong with a database itself. That a row does not keep its table's rules is its owner's matter. */
const damage = (db: Database.Database): string | undefined => {
  const lines = db.pragma("integrity_check(100)") as ReadonlyArray<{ integrity_check: string }>
  return lines
    .map(({ integrity_check }) => integrity_check)
    .find((line) => line !== "ok" && !/^(CHECK constraint failed in|(NULL|NUMERIC|TEXT) value in) /.test(line))
}

const damaged = (why: string): Answer => ({ _tag: "Damaged", why: why.replace(/\s+/g, " ") })

const copyOnce = (name: string, { busyMs, dev, ino, target }: Task & { _tag: "Copy" }, readonly: boolean): Answer => {
  const before = open()
  // Read-only, a connection puts no log into the database and takes none away: those are its owner's.
  const db = new Database(`${SOURCE}/${name}`, { readonly, fileMustExist: true, timeout: busyMs })
  try {
    const wal = db.pragma("journal_mode", { simple: true }) === "wal"
    db.prepare("VACUUM INTO ?").run(`${TARGET}/${target}`)
    // SQLite goes by paths. Only what it really holds tells what it has read.
    const files = [...open()].filter(([fd, stat]) => stat.isFile() && !before.has(fd)).map(([, stat]) => stat)
    const beside = ["-wal", "-shm", "-journal"].map((end) =>
      fs.lstatSync(`${SOURCE}/${name}${end}`, { bigint: true, throwIfNoEntry: false })
    )
    const main = { dev: BigInt(dev), ino: BigInt(ino) } as fs.BigIntStats
    const own = files.some((file) => same(main, file))
    if (!own || !files.every((file) => same(main, file) || beside.some((one) => same(one, file)))) {
      return { _tag: "Replaced" }
    }
    return finished(`${TARGET}/${target}`, wal)
  } finally {
    db.close()
  }
}

/** The copy, in the journal mode that the original has, and whole. */
const finished = (file: string, wal: boolean): Answer => {
  const copy = new Database(file, { fileMustExist: true })
  try {
    const why = damage(copy)
    if (why !== undefined) return damaged(why)
    if (wal) copy.pragma("journal_mode = WAL")
    return { _tag: "Done" }
  } finally {
    copy.close()
  }
}

const copy = (asked: Task & { _tag: "Copy" }): Answer => {
  // A log that nobody has made yet is made by whoever reads, and taken away again only by who may write.
  const writes = asked.wal && !fs.existsSync(`${SOURCE}/${asked.file}-wal`)
  try {
    return copyOnce(asked.file, asked, !writes)
  } catch (cause) {
    // Whoever wrote died in the middle: the next one to open it, and that is us, has to put it right first.
    if (writes || !/^SQLITE_(READONLY|CANTOPEN)/.test(codeOf(cause))) throw cause
    fs.truncateSync(`${TARGET}/${asked.target}`)
    return copyOnce(asked.file, asked, false)
  }
}

const check = ({ files }: Task & { _tag: "Check" }): Answer => {
  for (const path of files) {
    const db = new Database(`${SOURCE}/${path}`, { fileMustExist: true })
    try {
      const why = damage(db)
      if (why !== undefined) return damaged(`${path}: ${why}`)
    } catch (cause) {
      if (/^SQLITE_(NOTADB|CORRUPT)/.test(codeOf(cause))) return damaged(`${path}: ${(cause as Error).message}`)
      throw cause
    } finally {
      db.close()
    }
  }
  return { _tag: "Done" }
}

const answer = (): Answer => {
  try {
    return task._tag === "Copy" ? copy(task) : check(task)
  } catch (cause) {
    const code = codeOf(cause)
    const why = cause instanceof Error ? cause.message : String(cause)
    if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) return damaged(why)
    if (/^SQLITE_(BUSY|LOCKED)/.test(code)) return { _tag: "Busy" }
    if (code === "SQLITE_FULL") return { _tag: "Full" }
    return { _tag: "Failed", why }
  }
}

fs.writeSync(1, JSON.stringify(answer()))
// An agent that was killed meanwhile removes nothing any more.
if (task._tag === "Copy" && process.ppid !== parent) fs.rmSync(`${TARGET}/${task.target}`, { force: true })
