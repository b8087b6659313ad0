import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { run } from "../support/agent.ts"
import { issue, makeCa } from "../support/certs.ts"
import { temporaryFolder } from "../support/folder.ts"

const root = join(import.meta.dirname, "../..")
const installer = join(root, "deploy/install.sh")
const dist = join(root, "dist")
const files = (folder: string) =>
  (readdirSync(folder, { recursive: true, withFileTypes: true }) as ReadonlyArray<import("node:fs").Dirent>)
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()

const install = (...args: ReadonlyArray<string>) => run(installer, args)

describe("deploy/install.sh", () => {
  it.live("is clean bash", () =>
    Effect.gen(function* () {
      const checked = yield* run("shellcheck", [installer, join(root, "scripts/dist.sh")])
      assert.deepStrictEqual([checked.code, checked.stdout], [0, ""])
    })
  )

  it.live("installs below PREFIX what runs, again as an upgrade, and uninstalls all of it", () =>
    Effect.gen(function* () {
      const prefix = join(temporaryFolder(), "usr")
      const only = ["--programs-only", "--from", dist, "--prefix", prefix]
      const first = yield* install("install", ...only)
      assert.strictEqual(first.code, 0, first.stderr)
      const there = files(prefix)
      for (const program of ["mcp", "mcp-agent", "mcp-mcias"]) {
        const shown = yield* run(join(prefix, "bin", program), ["--version"])
        assert.strictEqual(shown.code, 0, shown.stderr)
        assert.match(shown.stdout, /\d+\.\d+\.\d+/)
      }
      // Native parts are found there too.
      const made = yield* run(join(prefix, "bin/mcp-mcias"), ["init", "--dir", join(temporaryFolder(), "id")])
      assert.strictEqual(made.code, 0, made.stderr)
      const ca = yield* run(join(prefix, "bin/mcp"), ["ca", "init", "--dir", join(temporaryFolder(), "ca")])
      assert.strictEqual(ca.code, 0, ca.stderr)
      writeFileSync(join(prefix, "lib/mcp/mcp-agent"), "an old one")
      const again = yield* install("install", ...only)
      assert.strictEqual(again.code, 0, again.stderr)
      assert.deepStrictEqual(files(prefix), there)
      assert.strictEqual(statSync(join(prefix, "lib/mcp/mcp-agent")).size, statSync(join(dist, "mcp-agent")).size)
      writeFileSync(join(prefix, "bin/other"), "not ours")
      const gone = yield* install("uninstall", ...only)
      assert.strictEqual(gone.code, 0, gone.stderr)
      assert.deepStrictEqual(files(prefix), ["bin/other"])
      assert.strictEqual((yield* install("uninstall", ...only)).code, 0)
    })
  )

  it.live("sets up a node below DESTDIR, and leaves its data alone", () =>
    Effect.gen(function* () {
      const dest = temporaryFolder()
      const node = ["--from", dist, "--destdir", dest, "--prefix", "/opt/mcp", "--dir", "/srv/own"]
      const first = yield* install("install", ...node)
      assert.strictEqual(first.code, 0, first.stderr)
      assert.match(first.stdout, /no config yet; next: mcp-agent init/)
      assert.match(first.stdout, /nothing is started/)
      const unit = readFileSync(join(dest, "etc/systemd/system/mcp-agent.service"), "utf8")
      assert.include(unit, "ExecStart=/opt/mcp/bin/mcp-agent --config /srv/own/mcp-agent.toml\n")
      assert.notInclude(unit, "@")
      const daily = readFileSync(join(dest, "etc/systemd/system/mcp-agent-snapshot.service"), "utf8")
      assert.include(daily, "ExecStart=/opt/mcp/bin/mcp-agent snapshot --keep 7 --config /srv/own/mcp-agent.toml\n")
      assert.isTrue(existsSync(join(dest, "etc/systemd/system/mcp-agent-snapshot.timer")))
      const own = join(dest, "srv/own")
      mkdirSync(own, { recursive: true })
      writeFileSync(join(own, "mcp-agent.toml"), "mine")
      const again = yield* install("install", ...node)
      assert.match(again.stdout, /kept \/srv\/own\/mcp-agent\.toml/)
      const gone = yield* install("uninstall", ...node)
      assert.strictEqual(gone.code, 0, gone.stderr)
      assert.match(gone.stdout, /kept \/srv\/own/)
      assert.deepStrictEqual(files(dest), ["srv/own/mcp-agent.toml"])
      assert.deepStrictEqual(readdirSync(dest), ["srv"])
    })
  )

  it.live("on a node without systemd it makes the config and says how to start; data outlives it", () =>
    Effect.gen(function* () {
      const folder = temporaryFolder()
      const ca = yield* Effect.promise(() => makeCa())
      const { cert, key } = yield* Effect.promise(() => issue(ca))
      for (const [name, text] of Object.entries({ "ca.pem": ca.cert, "a.pem": cert, "a.key": key })) {
        writeFileSync(join(folder, name), text, { mode: 0o600 })
      }
      // Whatever the machine has: in this mount namespace there is no systemd, and no unit of anybody else.
      const inside =
        'mkdir -p /etc/systemd /run/systemd; mount -t tmpfs none /etc/systemd; mount -t tmpfs none /run/systemd; "$@"; code=$?; ls /etc/systemd/system 2>/dev/null; exit $code'
      const node = (...args: ReadonlyArray<string>) =>
        run("unshare", ["--mount", "sh", "-c", inside, "sh", installer, ...args])
      const where = ["--from", dist, "--prefix", join(folder, "usr"), "--dir", join(folder, "mcp")]
      const init = [
        ...["--", "--node", "here", "--address", "127.0.0.1:19444", "--mcias", "https://127.0.0.1:18443"],
        ...["--files-root", join(folder, "srv"), "--cert", join(folder, "a.pem")],
        ...["--key", join(folder, "a.key"), "--ca", join(folder, "ca.pem")]
      ]
      for (const word of ["wrote", "kept"]) {
        const ran = yield* node("install", ...where, ...init)
        assert.strictEqual(ran.code, 0, ran.stderr)
        assert.include(ran.stdout, `${word} ${folder}/mcp/mcp-agent.toml`)
        assert.include(
          ran.stdout,
          `systemd does not run here: start the agent with ${folder}/usr/bin/mcp-agent --config`
        )
        assert.include(ran.stdout, "\nmcp-agent.service\n")
      }
      const agent = join(folder, "usr/bin/mcp-agent")
      const checked = yield* run(agent, ["check-config", "--config", join(folder, "mcp/mcp-agent.toml")])
      assert.strictEqual(checked.code, 0, checked.stderr)
      const gone = yield* node("uninstall", ...where)
      assert.strictEqual(gone.code, 0, gone.stderr)
      assert.include(gone.stdout, `kept ${folder}/mcp`)
      assert.deepStrictEqual(readdirSync(folder).sort(), ["a.key", "a.pem", "ca.pem", "mcp", "srv"])
      assert.deepStrictEqual(files(join(folder, "mcp")), [
        "certs/agent.key",
        "certs/agent.pem",
        "certs/ca.pem",
        "mcp-agent.toml"
      ])
    })
  )

  it.live("refuses what it cannot do, with the next step", () =>
    Effect.gen(function* () {
      for (const [args, words] of [
        [["install", "--frm", "x"], /unknown argument --frm\n {2}next: install\.sh --help/],
        [["install", "--prefix"], /--prefix needs a value/],
        [["install", "--programs-only", "--prefix", "relative"], /no plain absolute path/],
        [["install", "--programs-only", "--from", temporaryFolder(), "--prefix", "/none"], /no program of MCP/]
      ] as const) {
        const ran = yield* install(...args)
        assert.deepStrictEqual([ran.code, ran.stdout], [1, ""])
        assert.match(ran.stderr, words)
      }
      assert.isFalse(existsSync("/none"))
    })
  )
})

describe("make", () => {
  it.live("install honours PREFIX and DESTDIR; dist makes tarballs that install themselves", () =>
    Effect.gen(function* () {
      const dest = temporaryFolder()
      // What is built stays: only the recipe is tried.
      const recipe = execFileSync("make", ["-n", "install", "PREFIX=/p", `DESTDIR=${dest}`], {
        cwd: root,
        encoding: "utf8"
      })
      assert.include(recipe, `PREFIX='/p' DESTDIR='${dest}' deploy/install.sh install --programs-only --from dist`)
      const made = yield* run(join(root, "scripts/dist.sh"), [])
      assert.strictEqual(made.code, 0, made.stderr)
      const unpacked = temporaryFolder()
      for (const line of made.stdout.trim().split("\n")) {
        execFileSync("tar", ["-C", unpacked, "-xzf", join(root, line.split(" ")[0] ?? "")])
      }
      const folders = readdirSync(unpacked).sort()
      assert.lengthOf(folders, 3)
      for (const folder of folders) {
        const own = join(unpacked, folder)
        const program = folder.replace(/-\d.*$/, "")
        assert.strictEqual((yield* run(join(own, program), ["--version"])).code, 0)
        const ran = yield* run(join(own, "install.sh"), ["install", "--programs-only", "--prefix", join(dest, program)])
        assert.strictEqual(ran.code, 0, ran.stderr)
        assert.strictEqual((yield* run(join(dest, program, "bin", program), ["--version"])).code, 0)
        const timed = existsSync(join(own, "mcp-agent-snapshot.timer"))
        assert.strictEqual(timed, program === "mcp-agent", "the agent's tarball has its timer")
      }
    })
  )
})
