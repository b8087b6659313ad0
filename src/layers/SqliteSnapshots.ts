import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync
} from "node:fs"
import { basename, dirname, join } from "node:path"
import Database from "better-sqlite3"
import { Clock, Effect, Layer } from "effect"
import { RegistryTooNew } from "../services/RegistryError.ts"
import { type SnapshotFacts, SnapshotFailed, Snapshots } from "../services/Snapshots.ts"
import { whyNot } from "./fileError.ts"
import * as Lock from "./sqlite/lock.ts"
import { schemaVersion } from "./sqlite/migrations.ts"

/** Files of the registry's folder without which it is not whole, such as the key of what it holds encrypted. */
const belonging: ReadonlyArray<string> = ["secrets.key"]

const besideOf = (file: string, name: string) => `${file}.${name}`
const besides = (file: string) => belonging.filter((name) => existsSync(besideOf(file, name)))

const space = "check the disk's space (df -h) and who owns the folder (ls -ld)"
const failed = (file: string, nextStep: string) => (error: unknown) =>
  error instanceof SnapshotFailed || error instanceof RegistryTooNew
    ? error
    : new SnapshotFailed({ file, why: whyNot(error), nextStep })

const sync = (path: string) => {
  const descriptor = openSync(path, "r")
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** A file for nobody else, made before anything is written to it. */
const createPrivate = (file: string) => closeSync(openSync(file, "wx", 0o600))

const copyPrivate = (from: string, to: string) => {
  copyFileSync(from, to, constants.COPYFILE_EXCL)
  chmodSync(to, 0o600)
  sync(to)
}

/** What a draft of a database holds, if it is whole and a registry. */
const factsOf = (file: string, shown: string): Omit<SnapshotFacts, "beside"> => {
  const no = (why: string) =>
    new SnapshotFailed({ file: shown, why, nextStep: "take another snapshot: ls -l of their folder shows them" })
  const db = new Database(file, { fileMustExist: true })
  try {
    // One file is all of it, also of a copy that was in use with a log beside it.
    db.pragma("journal_mode = DELETE")
    const [check] = db.pragma("integrity_check(1)") as ReadonlyArray<{ integrity_check: string }>
    if (check?.integrity_check !== "ok") throw no(`it is damaged: ${check?.integrity_check.replace(/\s+/g, " ")}`)
    const one = (sql: string) => (db.prepare(sql).get() as { value: string | number } | undefined)?.value
    const tables = new Set(
      (db.prepare("SELECT name FROM sqlite_master").all() as ReadonlyArray<{ name: string }>).map(({ name }) => name)
    )
    if (!["meta", "effect_sql_migrations", "services", "deployments"].every((name) => tables.has(name))) {
      throw no("it is a database, and no registry of MCP")
    }
    const found = Number(one("SELECT MAX(migration_id) AS value FROM effect_sql_migrations"))
    if (found > schemaVersion) throw new RegistryTooNew({ path: shown, found, known: schemaVersion })
    return {
      registry: String(one("SELECT value FROM meta WHERE key = 'registry_id'") ?? ""),
      schemaVersion: found,
      services: Number(one("SELECT COUNT(*) AS value FROM services")),
      deployments: Number(one("SELECT COUNT(*) AS value FROM deployments")),
      bytes: statSync(file).size
    }
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : ""
    throw /^SQLITE_(NOTADB|CORRUPT)/.test(code) ? no(`it is damaged, or no database: ${whyNot(error)}`) : error
  } finally {
    db.close()
  }
}

/** Drafts that a killed one left; a day is longer than any takes. */
const removeOldDrafts = (folder: string, now: number) => {
  for (const name of readdirSync(folder).filter((each) => /^\..*\.\d+\.draft$/.test(each))) {
    const draft = join(folder, name)
    if (now - statSync(draft).mtimeMs > 86_400_000) rmSync(draft, { force: true })
  }
}

const take = (database: string, file: string, now: number): SnapshotFacts => {
  if (!existsSync(database)) {
    throw new SnapshotFailed({
      ...{ file: database, why: "there is no registry", nextStep: "check [database] path in the agent's config" }
    })
  }
  const folder = dirname(file)
  if (existsSync(file)) {
    throw new SnapshotFailed({ file, why: "it is there already, and is left as it is", nextStep: "name another file" })
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  removeOldDrafts(folder, now)
  const draft = join(folder, `.${basename(file)}.${process.pid}.draft`)
  const made: Array<string> = []
  try {
    createPrivate(draft)
    const db = new Database(database, { fileMustExist: true, timeout: 10_000 })
    try {
      db.prepare("VACUUM INTO ?").run(draft)
    } finally {
      db.close()
    }
    const facts = factsOf(draft, file)
    sync(draft)
    // The key first: a snapshot is there once it is whole.
    for (const name of belonging.filter((each) => existsSync(join(dirname(database), each)))) {
      copyPrivate(join(dirname(database), name), besideOf(file, name))
      made.push(besideOf(file, name))
    }
    renameSync(draft, file)
    sync(folder)
    return { ...facts, beside: besides(file) }
  } catch (error) {
    for (const each of made) rmSync(each, { force: true })
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Brings what is in the log into the database itself, so that one file is all of it. Of a damaged one the log stays. */
const gather = (database: string) => {
  try {
    const db = new Database(database, { fileMustExist: true })
    db.pragma("wal_checkpoint(TRUNCATE)")
    db.close()
  } catch {
    // It is set aside as it is.
  }
}

const restore = (file: string, database: string, now: number) => {
  const folder = dirname(database)
  const draft = `${database}.${process.pid}.draft`
  const aside = `${database}.before-restore-${new Date(now).toISOString().replace(/[-:]/g, "")}`
  const kept: Array<string> = []
  try {
    // Checked where it will be: the snapshot's own disk may be read-only.
    copyPrivate(file, draft)
    const facts = { ...factsOf(draft, file), beside: besides(file) }
    if (existsSync(database)) {
      gather(database)
      for (const log of ["-wal", "-shm"]) {
        // A log that stayed must not be taken for the new one's.
        if (existsSync(database + log)) renameSync(database + log, aside + log)
      }
      // Linked, so that there is a database at every moment.
      linkSync(database, aside)
      kept.push(aside)
    }
    for (const name of facts.beside) {
      const own = join(folder, name)
      if (existsSync(own)) {
        linkSync(own, besideOf(aside, name))
        kept.push(besideOf(aside, name))
      }
      copyPrivate(besideOf(file, name), `${own}.${process.pid}.draft`)
      renameSync(`${own}.${process.pid}.draft`, own)
    }
    renameSync(draft, database)
    sync(folder)
    return { facts, kept }
  } finally {
    for (const each of [
      draft,
      `${draft}-wal`,
      `${draft}-shm`,
      ...belonging.map((name) => `${join(folder, name)}.${process.pid}.draft`)
    ]) {
      rmSync(each, { force: true })
    }
  }
}

const folderOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

/** `VACUUM INTO`, which reads one state of a database while others write to it. */
export const layer: Layer.Layer<Snapshots> = Layer.succeed(
  Snapshots,
  Snapshots.of({
    isFolder: (path) => Effect.sync(() => folderOf(path)),
    take: (database, file) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.try({ try: () => take(database, file, now), catch: (e) => failed(file, space)(e) as SnapshotFailed })
      ),
    names: (folder) =>
      Effect.try({ try: () => readdirSync(folder), catch: (e) => failed(folder, space)(e) as SnapshotFailed }),
    remove: (file) =>
      Effect.try({
        try: () => {
          for (const each of [file, ...belonging.map((name) => besideOf(file, name))]) rmSync(each, { force: true })
        },
        catch: (e) => failed(file, space)(e) as SnapshotFailed
      }),
    restore: (file, database) =>
      Effect.gen(function* () {
        if (!existsSync(file) || folderOf(file)) {
          return yield* new SnapshotFailed({
            ...{ file, why: "there is no such file" },
            nextStep: `name a snapshot: ls ${folderOf(file) ? file : dirname(file)}`
          })
        }
        const now = yield* Clock.currentTimeMillis
        yield* Effect.try({
          try: () => mkdirSync(dirname(database), { recursive: true, mode: 0o700 }),
          catch: (e) => failed(database, space)(e) as SnapshotFailed
        })
        yield* Effect.catchTag(
          Lock.hold(database),
          "RegistryUnavailable",
          (e) => new SnapshotFailed({ file: database, why: e.why, nextStep: space })
        )
        return yield* Effect.try({ try: () => restore(file, database, now), catch: failed(file, space) })
      }).pipe(Effect.scoped)
  })
)
