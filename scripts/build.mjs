// Bundles the programs: `node scripts/build.mjs [PROGRAM...]` makes dist/mcp, dist/mcp-agent, dist/mcp-mcias.
// dist/ works wherever it is copied to: nothing is loaded from node_modules, and native parts come from dist/native/.
import { execFileSync, spawnSync } from "node:child_process"
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const dist = join(root, "dist")
const require = createRequire(import.meta.url)

const programs = ["mcp", "mcp-agent", "mcp-mcias"]
const wanted = process.argv.length > 2 ? process.argv.slice(2) : programs
const unknown = wanted.filter((name) => !programs.includes(name))
if (unknown.length > 0) throw new Error(`no program is called ${unknown.join(", ")}; there are ${programs.join(", ")}`)

// A program or library that runs is never written to: the new file takes its name.
const replace = (file, write) => {
  const draft = `${file}.${process.pid}.tmp`
  write(draft)
  renameSync(draft, file)
}

/** The package's version; between releases with the commit, and `.dirty` when files differ from it. */
const version = () => {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  try {
    const git = (...args) => execFileSync("git", ["-C", root, ...args], { encoding: "utf8", stdio: "pipe" }).trim()
    if (git("rev-parse", "--show-toplevel") !== root) return version
    const commit = git("describe", "--always", "--dirty=.dirty", "--exclude=*")
    return git("tag", "--points-at", "HEAD").split("\n").includes(`v${version}`) && !commit.endsWith(".dirty")
      ? version
      : `${version}+${commit}`
  } catch {
    return version
  }
}

/** The native file that the package loads on this machine. */
const argon2 = () => {
  require("@node-rs/argon2")
  const loaded = Object.keys(require.cache).find((file) => /argon2[^/]*\.node$/.test(file))
  if (loaded === undefined) throw new Error("@node-rs/argon2 loaded no native file")
  return loaded
}
const natives = {
  "better_sqlite3.node": () => require.resolve("better-sqlite3/build/Release/better_sqlite3.node"),
  "argon2.node": argon2
}

// Both packages look for their native file beside themselves in node_modules.
const nativeFiles = (folder = "/native/") => ({
  name: "native-files",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(bindings|@node-rs\/argon2)$/ }, ({ path }) => ({ path, namespace: "native" }))
    onLoad({ filter: /.*/, namespace: "native" }, ({ path }) => ({
      contents:
        path === "bindings"
          ? `module.exports = (file) => require(__dirname + "${folder}" + file)`
          : `module.exports = require(__dirname + "${folder}argon2.node")`
    }))
  }
})

// A sixth of all code, for two commands: in a file of its own, that the others need not read.
const certificatesApart = {
  name: "certificates-apart",
  setup({ onResolve }) {
    onResolve({ filter: /^@peculiar\/x509$/ }, () => ({ path: "./x509.js", external: true }))
  }
}

// @effect/cli reads options from such files, which no program of ours does.
const noConfigFiles = {
  name: "no-config-files",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(ini|toml|yaml)$/ }, ({ importer, path }) =>
      importer.includes("@effect/cli") ? { path, namespace: "no-config-files" } : undefined
    )
    onLoad({ filter: /.*/, namespace: "no-config-files" }, () => ({ contents: "export {}" }))
  }
}

const bundle = async (entry, outfile, { define, executable, natives = nativeFiles(), plugins = [] }) => {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    write: false,
    platform: "node",
    target: "node20",
    // CommonJS, since that is what Node takes a file without extension for.
    format: "cjs",
    minify: true,
    legalComments: "none",
    ...(executable ? { banner: { js: "#!/usr/bin/env node" } } : {}),
    // Each is tried by its user, which does without it.
    external: ["msgpackr-extract", "@parcel/watcher"],
    define,
    plugins: [natives, noConfigFiles, ...plugins],
    logLevel: "warning"
  })
  const [output] = outputFiles
  replace(outfile, (file) => {
    writeFileSync(file, output.contents)
    chmodSync(file, executable ? 0o755 : 0o644)
  })
  return output.contents.length
}

/** `mcp` in parts: what answers at once, the program, the texts of its help, and V8's code cache of it. */
const bundleCli = async (define) => {
  const lib = join(dist, "lib")
  mkdirSync(lib, { recursive: true })
  const size = await bundle("src/programs/mcp.ts", join(lib, "mcp.js"), { define, plugins: [certificatesApart] })
  await bundle("src/layers/x509.ts", join(lib, "x509.js"), { define })
  await bundle("src/programs/mcp-launch.ts", join(dist, "mcp"), { define, executable: true })
  const texts = join(lib, `texts.${process.pid}.cjs`)
  await bundle("src/cli/helpTexts.ts", texts, { define })
  const { completionScripts, helpTexts } = require(texts)
  rmSync(texts)
  const version = JSON.parse(define.MCP_VERSION)
  replace(join(lib, "mcp-help.json"), (file) =>
    writeFileSync(file, JSON.stringify({ version, help: helpTexts(version), completions: completionScripts() }))
  )
  // A run makes the cache: with a node that is not there, so that what talks to nodes is in it too.
  rmSync(join(lib, "mcp.cache"), { force: true })
  const home = mkdtempSync(join(tmpdir(), "mcp-build-"))
  writeFileSync(join(home, "token"), "e30.e30.x", { mode: 0o600 })
  const config = `[services]\ndir = "${home}"\n[auth]\ntoken_path = "${home}/token"\n[mcias]\nserver_url = "https://127.0.0.1:1"\nservice_name = "mcp"\n[[nodes]]\nname = "none"\naddress = "127.0.0.1:1"\n`
  writeFileSync(join(home, "mcp.toml"), config)
  spawnSync(process.execPath, [join(dist, "mcp"), "ps", "--config", join(home, "mcp.toml")], { stdio: "ignore" })
  rmSync(home, { recursive: true })
  return size
}

/** `mcp-agent`, and what it runs to read the databases of services. */
const bundleAgent = async (define) => {
  mkdirSync(join(dist, "lib"), { recursive: true })
  const natives = nativeFiles("/../native/")
  await bundle("src/layers/archive/sqliteProgram.ts", join(dist, "lib/sqlite.js"), { define, natives })
  return bundle("src/programs/mcp-agent.ts", join(dist, "mcp-agent"), { define, executable: true })
}

const missing = wanted.filter((name) => !existsSync(join(root, "src/programs", `${name}.ts`)))
const define = { MCP_VERSION: JSON.stringify(version()) }
mkdirSync(join(dist, "native"), { recursive: true })
// Beside this repository's own package.json, the programs would be taken for ES modules.
replace(join(dist, "package.json"), (file) => writeFileSync(file, '{ "type": "commonjs" }\n'))
for (const [name, find] of Object.entries(natives)) {
  replace(join(dist, "native", name), (file) => copyFileSync(find(), file))
}
for (const name of wanted.filter((name) => !missing.includes(name))) {
  try {
    const size =
      name === "mcp"
        ? await bundleCli(define)
        : name === "mcp-agent"
          ? await bundleAgent(define)
          : await bundle(`src/programs/${name}.ts`, join(dist, name), { define, executable: true })
    console.log(`dist/${name}  ${(size / 2 ** 20).toFixed(1)} MiB`)
  } catch (error) {
    // esbuild has printed where and why.
    if (!("errors" in error)) throw error
    console.error(`dist/${name} is not made`)
    process.exitCode = 1
  }
}
if (missing.length > 0) {
  console.error(missing.map((name) => `dist/${name} is not made: there is no src/programs/${name}.ts`).join("\n"))
  process.exitCode = 1
}
