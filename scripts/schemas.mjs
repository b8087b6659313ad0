// Writes the JSON Schemas and reference pages: what src/cli/referencePages.ts makes of the Schemas and commands.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { build } from "esbuild"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
// Below node_modules, so that packages are found.
const cache = join(root, "node_modules/.cache")
mkdirSync(cache, { recursive: true })
const dir = mkdtempSync(join(cache, "mcp-schemas-"))
try {
  const outfile = join(dir, "pages.mjs")
  await build({
    absWorkingDir: root,
    entryPoints: ["src/cli/referencePages.ts"],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    logLevel: "error"
  })
  const { pages } = await import(pathToFileURL(outfile).href)
  for (const generated of ["schemas", "docs/reference"]) rmSync(join(root, generated), { recursive: true, force: true })
  for (const [path, text] of pages()) {
    mkdirSync(join(root, dirname(path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
} finally {
  rmSync(dir, { recursive: true, force: true })
}
