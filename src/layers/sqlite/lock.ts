import { readFileSync, rmSync, writeFileSync } from "node:fs"
import Database from "better-sqlite3"
import { Effect, type Scope } from "effect"
import { RegistryLocked, RegistryUnavailable } from "../../services/RegistryError.ts"

const readPid = (file: string): number | undefined => {
  try {
    const pid = Number(readFileSync(file, "utf8").trim())
    return Number.isInteger(pid) && pid > 0 ? pid : undefined
  } catch {
    return undefined
  }
}

const isBusy = (cause: unknown) =>
  typeof cause === "object" && cause !== null && "code" in cause && String(cause.code).startsWith("SQLITE_BUSY")

/**
 * One agent a database: an exclusive transaction on `<path>.lock`, held for life. The kernel drops it with the process,
 * so a kill leaves no stale lock; `<path>.pid` only names the holder to whoever is refused.
 */
export const hold = (path: string): Effect.Effect<void, RegistryLocked | RegistryUnavailable, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        const db = new Database(`${path}.lock`, { timeout: 0 })
        try {
          db.exec("BEGIN EXCLUSIVE")
          writeFileSync(`${path}.pid`, `${process.pid}\n`, { mode: 0o600 })
          return db
        } catch (cause) {
          db.close()
          throw cause
        }
      },
      catch: (cause) =>
        isBusy(cause)
          ? new RegistryLocked({ path, pid: readPid(`${path}.pid`) })
          : new RegistryUnavailable({
              operation: "locked",
              why: cause instanceof Error ? cause.message : String(cause),
              cause
            })
    }),
    (db) =>
      Effect.sync(() => {
        rmSync(`${path}.pid`, { force: true })
        db.close()
      })
  ).pipe(Effect.asVoid)
