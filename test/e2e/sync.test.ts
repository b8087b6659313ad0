import { rmSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { bothViews, login, make, type Ran, read } from "../support/agent.ts"
import { image } from "../support/podman.ts"

const component = (name: string, cmd: string, more = "") => `
[[components]]
name = "${name}"
image = "${image}"
cmd = ["sh", "-c", "${cmd}"]
settle = "50ms"
stop_timeout = "0s"
${more}`
const sleeps = "exec sleep 1000"
const shop = (web = sleeps, rest = "") => `name = "shop"\nactive = true\n${component("web", web)}${rest}`
const cache = component("cache", sleeps)
const job = component("job", "exit 0", 'restart = "no"')
const blog = `name = "blog"\nactive = true\n${component("blog", sleeps)}`

const expect = (ran: Ran, code: number, ...told: ReadonlyArray<string | RegExp>) => {
  assert.strictEqual(ran.code, code, ran.stdout + ran.stderr)
  for (const text of told) {
    if (typeof text === "string") assert.include(ran.stdout + ran.stderr, text)
    else assert.match(ran.stdout + ran.stderr, text)
  }
}

it.scopedLive("a node follows its definitions by mcp sync, and forgets what is gone by mcp purge", () =>
  Effect.gen(function* () {
    const node = yield* make
    yield* node.startMcias
    yield* node.startAgent
    yield* login(node, "admin")
    const { podman } = node
    const ids = podman.run("ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}}")
    const views = Effect.map(bothViews(node), ({ ours, theirs }) => [ours, theirs])

    // A dry run tells and changes nothing; then all is deployed at once.
    node.define("shop", shop(sleeps, cache + job))
    node.define("blog", blog)
    expect(yield* node.mcp("sync", "--dry-run"), 0, "blog on here: would be deployed", /^ +\+ cache +create/m)
    assert.strictEqual(yield* ids, "")
    expect(
      yield* node.mcp("sync"),
      0,
      "blog on here: deployed (blog created)",
      "shop on here: deployed (web created, cache created, job created)",
      "2 services: 2 deployed"
    )
    const first = yield* ids
    expect(yield* node.mcp("sync"), 0, "2 services: 2 unchanged")
    assert.strictEqual(yield* ids, first)

    // One stopped on its own, one removed by hand, one that says itself that it is not to run.
    expect(yield* node.mcp("stop", "shop/web"), 0, "the next deploy or sync of shop starts shop/web again")
    yield* podman.run("rm", "--force", "--time", "0", "shop-cache")
    node.define("blog", blog.replace("active = true", "active = false"))
    yield* podman.run("run", "--detach", "--name", "blog-helper", image, "sleep", "1000")
    const noted = yield* node.mcp("sync", "--json")
    assert.strictEqual(noted.code, 0, noted.stderr)
    const said = JSON.parse(noted.stdout)
    assert.deepStrictEqual(
      said.services.map((s: { service: string; outcome: string }) => `${s.service} ${s.outcome}`),
      ["blog stopped", "shop started"]
    )
    assert.deepInclude(said.unmanaged[0], { container: "blog-helper", service: "blog", component: "helper" })
    assert.lengthOf(said.unmanaged, 1)
    assert.deepStrictEqual((yield* views)[0], [
      ...["blog stopped", "shop-cache running", "shop-job exited", "shop-web running"]
    ])
    expect(yield* node.mcp("sync"), 0, "2 services: 2 unchanged", "mcp adopt blog")

    // A version that does not start goes back; what was rolled back from is skipped.
    node.define("shop", shop("exit 3", cache + job))
    const before = yield* ids
    expect(yield* node.mcp("sync"), 1, "shop on here: failed", "blog on here: unchanged", /sync shop failed.*EXITED_3/)
    assert.deepStrictEqual((yield* ids).split("\n").sort(), before.split("\n").sort())
    node.define("shop", shop("sleep 999", cache + job))
    expect(yield* node.mcp("sync"), 0, "shop on here: deployed (web replaced)")
    expect(yield* node.mcp("rollback", "shop"), 0)
    expect(yield* node.mcp("sync"), 3, "shop on here: skipped", "mcp deploy shop --force")

    // What is defined no more stays until it is gone; purge refuses what is there.
    node.define("shop", shop())
    expect(yield* node.mcp("sync"), 0, "shop on here: deployed", "shop/cache on here is in the definition no more")
    expect(yield* node.mcp("purge", "shop/cache"), 1, "its container runs", "next for shop/cache: mcp stop shop/cache")
    yield* podman.run("rm", "--force", "--time", "0", "shop-cache")
    const kept = yield* node.mcp("sync", "--prune")
    expect(kept, 0, /^shop +cache +here +removed +dropped/m, /^shop +job +here +exited +stays/m)
    expect(yield* node.mcp("purge", "--dry-run"), 0, /job +here +exited +would be dropped +with its container shop-job/)
    assert.include(yield* ids, "shop-job")
    expect(yield* node.mcp("purge"), 0, /job +here +exited +dropped/)
    assert.notInclude(yield* ids, "shop-job")
    expect(yield* node.mcp("purge"), 0, "nothing to purge")
    expect(yield* node.mcp("purge", "shop/job"), 0, "nothing to purge")

    // A service in no definition is told of; once its containers are gone nothing of it is left.
    rmSync(join(node.services, "shop.toml"))
    expect(yield* node.mcp("sync"), 0, "shop on here is in no definition", "mcp undeploy shop")
    yield* podman.run("rm", "--force", "--time", "0", "shop-web")
    expect(yield* node.mcp("purge"), 0, /^shop +- +here +- +dropped +nothing of it is left/m)
    assert.notInclude(yield* podman.run("network", "ls", "--format", "{{.Name}}"), "mcp-shop")
    assert.notInclude((yield* node.mcp("list")).stdout, "shop")
    assert.include((yield* bothViews(node)).theirs, "blog-helper running")
    assert.include(read(`${node.services}/blog.toml`), "active = false")
    yield* podman.run("rm", "--force", "--time", "0", "blog-helper")
  })
)
