// Writes to a database as a service does: node sqliteWriter.mjs FILE MODE. A line tells each transaction that is done.
import { writeSync } from "node:fs"
import Database from "better-sqlite3"

const [file, mode] = process.argv.slice(2)
const db = new Database(file, { timeout: 5_000 })
db.pragma(`journal_mode = ${mode}`)
db.exec("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, twin INTEGER, filler BLOB)")
const insert = db.prepare("INSERT INTO t (n, twin, filler) VALUES (?, ?, randomblob(2000))")
const both = db.transaction((n) => {
  insert.run(2 * n, 2 * n + 1)
  insert.run(2 * n + 1, 2 * n)
})
for (let n = 1; ; n += 1) {
  both(n)
  writeSync(1, `${n}\n`)
  await new Promise((resolve) => setTimeout(resolve, 1))
}
