import { once } from "node:events"
import { createServer } from "node:net"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect } from "effect"
import { freePort, type Node } from "../support/agent.ts"
import { image } from "../support/podman.ts"
import { component, get, healthCheck, OldShop, serving, shop, told } from "../support/shop.ts"

/** Somebody else listens at the port for as long as the scope lasts. */
const listener = (port: number) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = createServer().listen(port, "127.0.0.1")
      await once(server, "listening")
      return server
    }),
    (server) => Effect.sync(() => server.close())
  )

/** A container that is not the agent's; what is answered asserts that nobody has touched it. */
const stranger = (node: Node, name: string) =>
  Effect.gen(function* () {
    const start = ["run", "--detach", "--name", name, image, "sleep", "1000"]
    const id = yield* Effect.acquireRelease(node.podman.run(...start), () =>
      node.podman.run("rm", "--force", "--time", "0", name)
    )
    return Effect.map(node.podman.run("inspect", "--format", "{{.Id}} {{.State.Status}}", name), (now) =>
      assert.strictEqual(now, `${id} running`)
    )
  })

const names = (node: Node) =>
  Effect.map(node.podman.run("ps", "--format", "{{.Names}}"), (text) => text.split("\n").sort())

const slow = component({ name: "db", cmd: ["sleep", "1000"], keys: 'settle = "2s"' })
const afterDb = `depends_on = ["db"]\n${healthCheck()}`

layer(OldShop.layer, { excludeTestServices: true, timeout: "120 seconds" })("somebody else on the node", (it) => {
  it.scoped("has the fixed port, or takes it between the check and the start", () =>
    Effect.gen(function* () {
      const { node, serves } = yield* OldShop
      const port = yield* freePort
      const next = /see on the node who listens there \(ss -ltnp\), or choose another host port/
      node.define("shop", `name = "shop"\n${slow}${component({ port, script: serving("new"), keys: afterDb })}`)
      const deploy = yield* Effect.fork(node.mcp("deploy", "shop"))
      yield* Effect.repeat(names(node), { until: (all) => all.includes("shop-db") })
      yield* listener(port)
      const inUse = `^mcp: deploy shop failed on here: cannot start shop-web: the port 127.0.0.1:${port} is in use on the`
      told(yield* deploy, new RegExp(inUse), next)
      yield* serves
      const taken = `^mcp: deploy shop/web failed on here: the host port ${port}/tcp of web is taken by another program$`
      told(yield* node.mcp("deploy", "shop"), new RegExp(taken), next)
      yield* serves
    })
  )

  it.effect("takes the old version's own port: it serves again once the port is free", () =>
    Effect.gen(function* () {
      const { node, port, serves } = yield* OldShop
      const web = component({ port, script: serving("new"), keys: afterDb })
      node.define("shop", `name = "shop"\n${slow}${web}`)
      const deploy = yield* Effect.fork(node.mcp("deploy", "shop"))
      yield* Effect.repeat(names(node), { until: (all) => all.includes("shop-db") })
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* listener(port)
          const failed = yield* deploy
          told(failed, /cannot start shop-web: the port \S+ is in use on the node \(PORT_IN_USE\)$/, /ss -ltnp/)
          assert.match(failed.stderr, /^ +now: back to what was there before; nothing of shop runs \(web 1\)$/m)
        })
      )
      yield* Effect.repeat(names(node), { until: (all) => all.includes("shop-web") })
      yield* serves
    })
  )

  it.scoped("takes the port that a route was just given: it gets another", () =>
    Effect.gen(function* () {
      const { node, serves } = yield* OldShop
      const route = "[[components.routes]]\nport = 80\ntarget = 8080"
      node.define("api", `name = "api"\n${component({ script: serving("api"), keys: `${healthCheck()}\n${route}` })}`)
      const rows = yield* Effect.acquireRelease(
        Effect.sync(() => new Database(join(node.dir, "agent/mcp.db"), { readonly: true })),
        (db) => Effect.sync(() => db.close())
      )
      const given = Effect.sync(() =>
        Number(rows.prepare("SELECT port FROM ports WHERE service = 'api'").pluck().get() ?? 0)
      )
      const deploy = yield* Effect.fork(node.mcp("deploy", "api"))
      const first = yield* Effect.repeat(Effect.zipRight(Effect.sleep("2 millis"), given), {
        until: (port) => port > 0
      })
      yield* listener(first)
      const deployed = yield* deploy
      assert.strictEqual(deployed.code, 0, deployed.stderr)
      const second = yield* given
      assert.notStrictEqual(second, first)
      assert.strictEqual(yield* get(second), "api\n")
      assert.strictEqual((yield* node.mcp("undeploy", "api", "--yes")).code, 0)
      yield* serves
    })
  )

  it.effect("has a container under a name that is needed: it is refused and left alone", () =>
    Effect.gen(function* () {
      const { node, port, serves } = yield* OldShop
      const db = component({ name: "db", cmd: ["sleep", "1000"], keys: 'settle = "100ms"' })
      const refused = (service: string, name: string) =>
        new RegExp(
          `^mcp: deploy shop/${service} failed on here: a container named ${name} is there that this registry did`
        )
      const next = (name: string) => new RegExp(`see what it is \\(podman inspect ${name}\\), then rename or remove it`)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const untouched = yield* stranger(node, "shop-db")
          node.define("shop", `${shop({ port, script: serving("new") })}${db}`)
          told(yield* node.mcp("deploy", "shop"), refused("db", "shop-db"), next("shop-db"))
          yield* untouched
        })
      )
      yield* serves
    })
  )

  it.effect("has a container that looks like a replaced one: it is never removed, and stop and start work", () =>
    Effect.gen(function* () {
      const { node, port, serves } = yield* OldShop
      yield* Effect.scoped(
        Effect.gen(function* () {
          const name = "shop-web.prev"
          const untouched = yield* stranger(node, name)
          node.define("shop", shop({ port, script: serving("new") }))
          const refused = /^mcp: deploy shop\/web failed on here: a container named shop-web\.prev is there that this /
          told(yield* node.mcp("deploy", "shop"), refused, /podman inspect shop-web\.prev\), then rename or remove it/)
          assert.strictEqual(yield* get(port), "old\n")
          node.define("shop", shop({ port }))
          assert.strictEqual((yield* node.mcp("stop", "shop")).code, 0)
          const started = yield* node.mcp("start", "shop")
          assert.strictEqual(started.code, 0, started.stderr)
          yield* untouched
        })
      )
      yield* serves
    })
  )
})
