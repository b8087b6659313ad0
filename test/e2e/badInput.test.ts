import { execFileSync } from "node:child_process"
import { once } from "node:events"
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { type Node, RunningNode, run } from "../support/agent.ts"
import { makeCa } from "../support/certs.ts"
import { temporaryFolder } from "../support/folder.ts"
import { image } from "../support/podman.ts"

const mcp = join(import.meta.dirname, "../../dist/mcp")

const definition = (name: string) => `name = "${name}"
[[components]]
name = "web"
image = "${image}"
cmd = ["sleep", "1000"]
settle = "50ms"
stop_timeout = "0s"
`

/** A config of its own for the node, with definitions of its own; answers how to run `mcp` with it. */
const operator = (node: Node, own: { readonly folder?: string; readonly nodes?: string } = {}) => {
  const dir = own.folder ?? temporaryFolder()
  const services = join(dir, "services")
  mkdirSync(services, { recursive: true })
  const token = join(dir, "token")
  writeFileSync(token, readFileSync(node.token), { mode: 0o600 })
  const [mcias = ""] = /server_url = ".*"/.exec(readFileSync(node.agentConfig, "utf8")) ?? []
  const file = join(temporaryFolder(), "mcp.toml")
  writeFileSync(
    file,
    `[services]
dir = "${services}"
[mcias]
${mcias}
ca_cert = "${node.tls.ca}"
[auth]
token_path = "${token}"
[[nodes]]
name = "here"
address = "${node.agentAddress}"
ca_cert = "${node.tls.ca}"
${own.nodes ?? ""}`
  )
  const env = { MCP_CONFIG: file }
  return {
    file,
    token,
    services,
    define: (name: string, text: string) => writeFileSync(join(services, `${name}.toml`), text),
    text: (name: string) => readFileSync(join(services, `${name}.toml`), "utf8"),
    mcp: (...args: ReadonlyArray<string>) => run(mcp, args, env),
    with: (more: Readonly<Record<string, string>>, ...args: ReadonlyArray<string>) =>
      run(mcp, args, { ...env, ...more })
  }
}

/** A disk of a megabyte that can be filled up. */
const smallDisk = Effect.acquireRelease(
  Effect.sync(() => {
    const dir = temporaryFolder()
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "none", dir])
    return {
      dir,
      fill: () => {
        try {
          writeFileSync(join(dir, "filler"), Buffer.alloc(2 ** 20))
        } catch {
          // That was the last of its space.
        }
      }
    }
  }),
  ({ dir }) => Effect.sync(() => void execFileSync("umount", [dir]))
)

const timeout = { excludeTestServices: true, timeout: "120 seconds" } as const

layer(RunningNode.layer, timeout)("what operators get wrong", (it) => {
  it.effect("a token that others can read is not used, and the mending command is told", () =>
    Effect.gen(function* () {
      const ada = operator(yield* RunningNode)
      chmodSync(ada.token, 0o644)
      const ran = yield* ada.mcp("ps")
      assert.strictEqual(ran.code, 5)
      assert.include(ran.stderr, `next: chmod 600 ${ada.token}`)
    })
  )

  it.effect("all mistakes of a config are told at once, each with its place", () =>
    Effect.gen(function* () {
      const ada = operator(yield* RunningNode)
      const text = readFileSync(ada.file, "utf8").replace("token_path", "tokne_path").replace("https://", "http://")
      writeFileSync(ada.file, `${text}\n[[nodes]]\nname = "here"\naddress = "nowhere"\n`)
      const ran = yield* ada.mcp("ps")
      assert.strictEqual(ran.code, 2)
      for (const line of [
        /mcp\.toml:4:\d+: mcias\.server_url: /,
        /mcp\.toml:7:\d+: auth\.tokne_path: .*token_path/,
        /nodes\[1\]\.address: expected host:port/
      ]) {
        assert.match(ran.stderr, line)
      }
    })
  )

  it.effect("a broken definition is in nobody's way but its own", () =>
    Effect.gen(function* () {
      const ada = operator(yield* RunningNode)
      ada.define("good", definition("good"))
      ada.define("bad", 'name = "bad"\n[[components]]\nname = "web"\nimgae = "x"\n')
      const all = yield* ada.mcp("deploy", "--all")
      assert.strictEqual(all.code, 2)
      assert.match(all.stderr, /bad\.toml:4:1: .*imgae.*image/)
      assert.match(all.stderr, /nothing was sent/)
      assert.strictEqual((yield* ada.mcp("deploy", "good")).code, 0)
      const listed = yield* ada.mcp("service", "list")
      assert.match(listed.stdout, /^bad .*problem/m)
      assert.match(listed.stdout, /^good .*valid/m)
      assert.strictEqual((yield* ada.mcp("undeploy", "good", "--yes")).code, 0)
    })
  )

  it.effect("without a home and a config, mcp says where it looked", () =>
    Effect.gen(function* () {
      const ran = yield* run("env", ["-i", `PATH=${process.env.PATH}`, "HOME=", mcp, "ps"])
      assert.strictEqual(ran.code, 2)
      assert.match(ran.stderr, /^mcp: .*\n {2}next: .*/)
      assert.notMatch(ran.stderr, /^ {4}at /m)
    })
  )

  it.effect("without a terminal nothing is asked: what is missing is told, and what destroys wants --yes", () =>
    Effect.gen(function* () {
      const ada = operator(yield* RunningNode)
      ada.define("shop", definition("shop"))
      assert.strictEqual((yield* ada.mcp("deploy", "shop")).code, 0)
      const login = yield* ada.mcp("login", "--username", "ada")
      assert.deepStrictEqual([login.code, /--password-file/.test(login.stderr)], [2, true])
      const undeploy = yield* ada.mcp("undeploy", "shop")
      assert.deepStrictEqual([undeploy.code, /--yes/.test(undeploy.stderr)], [2, true])
      assert.match((yield* ada.mcp("ps")).stdout, /shop .*running/)
      assert.strictEqual((yield* ada.mcp("undeploy", "shop", "--yes")).code, 0)
    })
  )

  it.effect("on a terminal of 40 columns no line of a table is wider", () =>
    Effect.gen(function* () {
      const ada = operator(yield* RunningNode)
      const long = "a-service-with-quite-a-long-name-indeed"
      ada.define(long, definition(long))
      assert.strictEqual((yield* ada.mcp("deploy", long)).code, 0)
      for (const command of ["ps", "list", "status", "node list"]) {
        const typed = `stty cols 40 rows 20; exec ${mcp} ${command} --no-color`
        const ran = yield* ada.with({ TERM: "xterm" }, "--version")
        assert.strictEqual(ran.code, 0)
        const seen = yield* run("script", ["-qec", typed, "/dev/null"], { MCP_CONFIG: ada.file, TERM: "xterm" })
        assert.strictEqual(seen.code, 0, seen.stdout)
        // Sentences may wrap; a table that did could not be read.
        for (const line of seen.stdout.split(/\r?\n/).filter((line) => !line.includes(" on here: ")))
          assert.isAtMost([...line].length, 40, `${command}: ${line}`)
      }
      assert.strictEqual((yield* ada.mcp("undeploy", long, "--yes")).code, 0)
    })
  )

  it.scoped("a full disk loses neither the token nor the definition", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      const disk = yield* smallDisk
      const ada = operator(node, { folder: disk.dir })
      ada.define("shop", definition("shop"))
      assert.strictEqual((yield* ada.mcp("deploy", "shop")).code, 0)
      disk.fill()
      const token = readFileSync(ada.token, "utf8")
      const login = yield* ada.mcp("login", "--username", "admin", "--password-file", join(node.dir, "password"))
      assert.deepStrictEqual([login.code, readFileSync(ada.token, "utf8")], [1, token])
      assert.match(login.stderr, /the disk is full\n {2}next: /)
      // It was carried out; the file could not be told, and the operator is.
      const stop = yield* ada.mcp("stop", "shop")
      assert.deepStrictEqual([stop.code, ada.text("shop")], [1, definition("shop")])
      assert.match(stop.stderr, /the disk is full\n {2}next: set its `active` line by hand/)
      assert.deepStrictEqual(readdirSync(ada.services), ["shop.toml"])
      assert.strictEqual((yield* ada.mcp("ps", "--json")).code, 0)
      assert.strictEqual((yield* node.mcp("undeploy", "shop", "--yes")).code, 0)
    })
  )

  it.effect("an editor that fails changes nothing, and what was typed is kept", () =>
    Effect.gen(function* () {
      const ada = operator(yield* RunningNode)
      ada.define("shop", definition("shop"))
      const editor = join(temporaryFolder(), "editor")
      writeFileSync(editor, '#!/bin/sh\necho "# my work" >> "$1"\nexit 3\n', { mode: 0o755 })
      const ran = yield* ada.with({ EDITOR: editor, VISUAL: "" }, "service", "edit", "shop")
      assert.strictEqual(ran.code, 1)
      assert.match(ran.stderr, /ended with 3/)
      assert.strictEqual(ada.text("shop"), definition("shop"))
      const draft = join(ada.services, ".shop.edit.toml")
      assert.isTrue(existsSync(draft))
      assert.include(readFileSync(draft, "utf8"), "# my work")
    })
  )

  it.scoped("a node that does not answer in time is one row, and waited for no longer than --timeout says", () =>
    Effect.gen(function* () {
      const silent = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const server = createServer(() => {}).listen(0, "127.0.0.1")
          await once(server, "listening")
          return server
        }),
        (server) => Effect.sync(() => void server.close())
      )
      const { port } = silent.address() as AddressInfo
      const ada = operator(yield* RunningNode, { nodes: `[[nodes]]\nname = "slow"\naddress = "127.0.0.1:${port}"\n` })
      const ran = yield* Effect.timeout(ada.mcp("node", "list", "--timeout", "5s"), "30 seconds")
      assert.strictEqual(ran.code, 4)
      assert.match(ran.stdout, /^here .*ready/m)
      assert.match(ran.stdout, /^slow .*unreachable/m)
      assert.match(ran.stderr, /slow did not answer: .*\n {2}next: /)
    })
  )

  it.effect("of two nodes with different CAs, the one that is not trusted hides nothing of the other", () =>
    Effect.gen(function* () {
      const node = yield* RunningNode
      const other = join(temporaryFolder(), "other.pem")
      writeFileSync(other, (yield* Effect.promise(() => makeCa("another CA"))).cert)
      const there = `[[nodes]]\nname = "there"\naddress = "${node.agentAddress}"\nca_cert = "${other}"\n`
      const ada = operator(node, { nodes: there })
      const ran = yield* ada.mcp("node", "list")
      assert.strictEqual(ran.code, 4)
      assert.match(ran.stdout, /^here .*ready/m)
      assert.match(ran.stdout, /^there .*unreachable/m)
      assert.match(ran.stderr, /there did not answer: .*certificate.*\n {2}next: .*ca_cert/)
    })
  )
})
