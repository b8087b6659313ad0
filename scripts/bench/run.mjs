// Bundles test/bench, since Node 20 does not read TypeScript, and runs it: ONLY=row,row and RUNS=n choose.
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { build } from "esbuild"

const root = join(import.meta.dirname, "../..")
const outdir = join(root, ".bench/program")
await build({
  absWorkingDir: root,
  entryPoints: { bench: "test/bench/main.ts", echo: "test/bench/echo.ts" },
  outdir,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);'
  },
  external: ["better-sqlite3", "msgpackr-extract", "@parcel/watcher"],
  logLevel: "warning"
})
await import(pathToFileURL(join(outdir, "bench.mjs")).href)
