import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import Database from "better-sqlite3"
import { build } from "./debianImage.ts"
import type { Podman } from "./podman.ts"

export const ledgerImage = "localhost/ledger:1"

/** A shell and sqlite3, for a component that writes to a database in its service's folder. */
export const buildLedger = (podman: Podman) =>
  build(podman, { reference: ledgerImage, programs: ["sqlite3", "dash", "sleep"] })

// One transaction writes to both tables; one process holds the database open, and its log is never empty.
const script = `
first='PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; CREATE TABLE IF NOT EXISTS a (n INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS b (n INTEGER PRIMARY KEY); CREATE TABLE IF NOT EXISTS starts (n INTEGER);
INSERT INTO starts SELECT COALESCE(MAX(n), 0) FROM a;'
one='BEGIN; INSERT INTO a SELECT COALESCE(MAX(n), 0) + 1 FROM a; INSERT INTO b SELECT MAX(n) FROM a; COMMIT;'
(echo "$first"; while sleep 0.01; do echo "$one" || exit; done) | sqlite3 -bail /data/ledger.db
`.trim()

/** A service whose component writes transactions all the while. */
export const ledger = (filesRoot: string, more = "") => `name = "shop"
[snapshot]
method = "full"
[[components]]
name = "web"
image = "${ledgerImage}"
cmd = ["dash", "-c", ${JSON.stringify(script)}]
volumes = ["${filesRoot}/shop:/data"]
settle = "50ms"
stop_timeout = "0s"
${more}`

export interface Book {
  /** The last transaction that it has. */
  readonly last: number
  /** The last one that there was at each start of the writer. */
  readonly starts: ReadonlyArray<number>
}

/** Opens and checks it; fails unless it is exactly what there was after one of the transactions. */
export const bookIn = (folder: string): Book => {
  const db = new Database(join(folder, "ledger.db"), { fileMustExist: true })
  try {
    const check = db.pragma("integrity_check", { simple: true })
    if (check !== "ok") throw new Error(`integrity_check: ${check}`)
    const read = db.transaction(() => ({
      sums: db
        .prepare("SELECT (SELECT MAX(n) FROM a) x, (SELECT MAX(n) FROM b) y, (SELECT COUNT(*) FROM a) z")
        .get() as { x: number; y: number; z: number },
      starts: (db.prepare("SELECT n FROM starts ORDER BY rowid").all() as ReadonlyArray<{ n: number }>).map(
        ({ n }) => n
      )
    }))
    const { starts, sums } = read()
    if (sums.x !== sums.y || sums.x !== sums.z) throw new Error(`half a transaction: ${JSON.stringify(sums)}`)
    return { last: sums.x ?? 0, starts }
  } finally {
    db.close()
  }
}

/** What transfers, snapshots and restores must leave nothing in. */
export const litterIn = (serviceFolder: string, snapshots: string): ReadonlyArray<string> => {
  const left = existsSync(serviceFolder) ? readdirSync(serviceFolder).filter((name) => name.startsWith(".mcp")) : []
  const names = existsSync(snapshots) ? readdirSync(snapshots) : []
  const ids = new Set(names.filter((name) => name.endsWith(".tar.zst")).map((name) => name.slice(0, 26)))
  const half = names.filter((name) => !/^[0-9A-Z]{26}\.(tar\.zst|json)$/.test(name) || !ids.has(name.slice(0, 26)))
  return [...left.map((name) => `${serviceFolder}/${name}`), ...half.map((name) => `${snapshots}/${name}`)]
}
