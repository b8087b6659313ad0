import { chmodSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect } from "effect"
import { freePort, type Node } from "../support/agent.ts"
import { imageRegistry } from "../support/imageRegistry.ts"
import { component, get, healthCheck, OldShop, serving, shop, told, until } from "../support/shop.ts"
import * as Stranger from "../support/stranger.ts"

let registry = ""

const WithRegistry = OldShop.layerWith((node) =>
  Effect.map(imageRegistry(node), (address) => {
    registry = address
  })
)

const names = (node: Node) =>
  Effect.map(node.podman.run("ps", "--format", "{{.Names}}"), (text) => text.split("\n").sort())

const slow = component({ name: "db", cmd: ["sleep", "1000"], keys: 'settle = "2s"' })
const afterDb = `depends_on = ["db"]\n${healthCheck()}`

layer(WithRegistry, { excludeTestServices: true, timeout: "120 seconds" })("the old version outlives", (it) => {
  it.effect("an image that its registry does not have", () =>
    Effect.gen(function* () {
      const { node, port, serves } = yield* OldShop
      const absent = `${registry}/shop/web:3`
      node.define("shop", shop({ port, image: absent }))
      const unknown = new RegExp(`^mcp: deploy shop failed on here: cannot pull ${absent}: .*manifest unknown$`)
      told(yield* node.mcp("deploy", "shop"), unknown, /check the image's name and tag/)
      yield* serves
    })
  )

  it.effect("an image for another architecture, whether it is here or has to be pulled", () =>
    Effect.gen(function* () {
      const { node, port, serves } = yield* OldShop
      const image = `${registry}/shop/web:arm`
      yield* node.podman.run("import", "--quiet", "--arch", "arm64", join(node.podman.dir, "rootfs.tar"), image)
      node.define("shop", shop({ port, image }))
      const foreign = /^mcp: deploy shop failed on here: \S+:arm is built for arm64, and this node is \w+$/
      told(yield* node.mcp("deploy", "shop"), foreign, /name an image that is built for/)
      yield* serves
      yield* node.podman.run("push", "--quiet", "--tls-verify=false", image)
      yield* node.podman.run("rmi", image)
      told(yield* node.mcp("deploy", "shop"), foreign, /name an image that is built for/)
      yield* serves
    })
  )

  it.effect("a command that is not in the image", () =>
    Effect.gen(function* () {
      const { node, port, serves } = yield* OldShop
      node.define("shop", shop({ port, cmd: ["/usr/bin/absent", "--serve"] }))
      const absent = /^mcp: deploy shop failed on here: start shop-web: there is no command \/usr\/bin\/absent in the /
      told(yield* node.mcp("deploy", "shop"), absent, /correct what podman names in the definition/)
      yield* serves
    })
  )

  it.effect("a program that ends at once, or after a while", () =>
    Effect.gen(function* () {
      const { node, port, serves } = yield* OldShop
      node.define("shop", shop({ port, script: "echo no such database >&2; exit 3" }))
      const atOnce = yield* node.mcp("deploy", "shop")
      told(atOnce, /web did not become ready: it ended with exit code 3 \(EXITED_3\)$/, /read the program's last lines/)
      assert.match(atOnce.stderr, /^ +last lines of web:\n +no such database$/m)
      assert.match(atOnce.stderr, /^ +now: the old version is running again \(web 1\)$/m)
      yield* serves
      node.define("shop", shop({ port, script: "echo up; sleep 2; echo lost it; exit 4", keys: 'settle = "4s"' }))
      const later = yield* node.mcp("deploy", "shop")
      told(later, /web did not become ready: it ended with exit code 4 \(EXITED_4\)$/, /read the program's last lines/)
      assert.match(later.stderr, /^ +up\n +lost it$/m)
      yield* serves
    })
  )

  it.effect("a program that never becomes healthy", () =>
    Effect.gen(function* () {
      const { node, port, serves } = yield* OldShop
      const answer = "HTTP/1.1 503 Busy\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n"
      const reply = `while read line; do test \${#line} -gt 1 || break; done; printf '${answer}'`
      const cmd = ["nc", "-ll", "-p", "8080", "-e", "sh", "-c", reply]
      node.define("shop", shop({ port, cmd, keys: `${healthCheck(5)}\nstart_period = "1s"` }))
      const sick = /its health check failed 5 times in a row, last with: HTTP 503 \(PROBE_STATUS_503\)$/
      told(yield* node.mcp("deploy", "shop"), sick, /check the health check's path and port/)
      yield* serves
    })
  )

  it.effect("a volume that it may not write", () =>
    Effect.gen(function* () {
      const { node, port, serves } = yield* OldShop
      const data = join(node.dir, "data")
      mkdirSync(data)
      chmodSync(data, 0o755)
      const script = "echo kept > /data/file || exit 5; exec sleep 1000"
      const keys = `user = "1000:1000"\nvolumes = ["${data}:/data"]\nsettle = "500ms"`
      node.define("shop", shop({ port, script, keys }))
      const ended = /web did not become ready: it ended with exit code 5 \(EXITED_5\)$/
      const foreign = yield* node.mcp("deploy", "shop")
      told(
        foreign,
        ended,
        /user 1000:1000 cannot write \S+data \(owned by 0:0, mode 755\): chown or chmod it on the node/
      )
      assert.include(foreign.stderr, "Permission denied")
      yield* serves
    })
  )

  it.effect("a program that needs more memory than it may have", () =>
    Effect.gen(function* () {
      const { node, port, serves } = yield* OldShop
      const cmd = ["dd", "if=/dev/zero", "of=/dev/null", "bs=256M", "count=1"]
      node.define("shop", shop({ port, cmd, keys: 'memory = "32m"\nsettle = "20s"' }))
      const killed =
        /web did not become ready: it was killed because it used more memory than its limit \(OOM_KILLED\)$/
      told(yield* node.mcp("deploy", "shop"), killed, /give it more memory/)
      yield* serves
    })
  )

  it.scoped("somebody who has the fixed port, or takes it between the check and the start", () =>
    Effect.gen(function* () {
      const { node, serves } = yield* OldShop
      const port = yield* freePort
      const next = /see on the node who listens there \(ss -ltnp\), or choose another host port/
      node.define("shop", `name = "shop"\n${slow}${component({ port, script: serving("new"), keys: afterDb })}`)
      const deploy = yield* Effect.fork(node.mcp("deploy", "shop"))
      yield* until(names(node), (all) => all.includes("shop-db"))
      yield* Stranger.listener(port)
      const inUse = `^mcp: deploy shop failed on here: cannot start shop-web: the port 127.0.0.1:${port} is in use on the`
      told(yield* deploy, new RegExp(inUse), next)
      yield* serves
      const taken = `^mcp: deploy shop/web failed on here: the host port ${port}/tcp of web is taken by another program$`
      told(yield* node.mcp("deploy", "shop"), new RegExp(taken), next)
      yield* serves
    })
  )

  it.effect("somebody who takes its own port: it serves again once that is free", () =>
    Effect.gen(function* () {
      const { node, port, serves } = yield* OldShop
      const web = component({ port, script: serving("new"), keys: afterDb })
      node.define("shop", `name = "shop"\n${slow}${web}`)
      const deploy = yield* Effect.fork(node.mcp("deploy", "shop"))
      yield* until(names(node), (all) => all.includes("shop-db"))
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Stranger.listener(port)
          const failed = yield* deploy
          told(failed, /cannot start shop-web: the port \S+ is in use on the node \(PORT_IN_USE\)$/, /ss -ltnp/)
          assert.match(failed.stderr, /^ +now: back to what was there before; nothing of shop runs \(web 1\)$/m)
        })
      )
      yield* until(names(node), (all) => all.includes("shop-web"))
      yield* serves
    })
  )

  it.scoped("somebody who takes the port that a route was just given: the route gets another", () =>
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
      yield* Stranger.listener(first)
      const deployed = yield* deploy
      assert.strictEqual(deployed.code, 0, deployed.stderr)
      const second = yield* given
      assert.notStrictEqual(second, first)
      assert.strictEqual(yield* get(second), "api\n")
      assert.strictEqual((yield* node.mcp("undeploy", "api", "--yes")).code, 0)
      yield* serves
    })
  )

  it.effect("a stranger's container under a name that is needed, which is left alone", () =>
    Effect.gen(function* () {
      const { node, port, serves } = yield* OldShop
      const db = component({ name: "db", cmd: ["sleep", "1000"], keys: 'settle = "100ms"' })
      const refused = (service: string, name: string) =>
        new RegExp(
          `^mcp: deploy shop/${service} failed on here: a container named ${name} is there that this registry did`
        )
      const next = /next: mcp adopt shop takes it over as it is, or says how to remove it/
      yield* Effect.scoped(
        Effect.gen(function* () {
          const untouched = yield* Stranger.container(node, "shop-db")
          node.define("shop", `${shop({ port, script: serving("new") })}${db}`)
          told(yield* node.mcp("deploy", "shop"), refused("db", "shop-db"), next)
          yield* untouched
        })
      )
      yield* serves
    })
  )

  it.effect("a stranger's container that looks like a replaced one, which is never removed", () =>
    Effect.gen(function* () {
      const { node, port, serves } = yield* OldShop
      yield* Effect.scoped(
        Effect.gen(function* () {
          const name = "shop-web.prev"
          const untouched = yield* Stranger.container(node, name)
          node.define("shop", shop({ port, script: serving("new") }))
          const refused = /^mcp: deploy shop\/web failed on here: a container named shop-web\.prev is there that this /
          told(yield* node.mcp("deploy", "shop"), refused, /next: mcp adopt shop/)
          const adopted = yield* node.mcp("adopt", "shop")
          assert.match(adopted.stderr, /podman rm --force shop-web\.prev/)
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
