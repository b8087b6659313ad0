import { createRequire } from "node:module"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { buildSync } from "esbuild"
import { temporaryFolder } from "./folder.ts"

const require = createRequire(import.meta.url)

/** Runs the program that reads SQLite's files, as the build makes it. */
export const sqliteProgram = (): ReadonlyArray<string> => {
  const outfile = join(temporaryFolder(), "sqlite.js")
  buildSync({
    entryPoints: [fileURLToPath(new URL("../../src/layers/archive/sqliteProgram.ts", import.meta.url))],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    alias: { "better-sqlite3": require.resolve("better-sqlite3") },
    external: [require.resolve("better-sqlite3")]
  })
  return [process.execPath, outfile]
}
