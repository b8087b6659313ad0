import { chmodSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { freePort } from "../support/agent.ts"
import { imageRegistry } from "../support/imageRegistry.ts"
import { healthCheck, OldShop, shop, told } from "../support/shop.ts"

let registry = ""

const WithRegistry = OldShop.layerWith((node) =>
  Effect.map(imageRegistry(node), (address) => {
    registry = address
  })
)

layer(WithRegistry, { excludeTestServices: true, timeout: "120 seconds" })("the old version outlives", (it) => {
  it.effect("an image that its registry does not have, or whose registry does not answer", () =>
    Effect.gen(function* () {
      const { node, port, serves } = yield* OldShop
      const absent = `${registry}/shop/web:3`
      node.define("shop", shop({ port, image: absent }))
      const unknown = new RegExp(`^mcp: deploy shop failed on here: cannot pull ${absent}: .*manifest unknown$`)
      told(yield* node.mcp("deploy", "shop"), unknown, /check the image's name and tag/)
      yield* serves
      const silent = `127.0.0.1:${yield* freePort}/shop/web:3`
      node.define("shop", shop({ port, image: silent }))
      const refused = new RegExp(`^mcp: deploy shop failed on here: cannot pull ${silent}: .*connection refused$`)
      told(yield* node.mcp("deploy", "shop"), refused, /that the image registry answers/)
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
      const volume = (options: string) => `volumes = ["${data}:/data${options}"]\nsettle = "500ms"`
      node.define("shop", shop({ port, script, keys: `user = "1000:1000"\n${volume("")}` }))
      const ended = /web did not become ready: it ended with exit code 5 \(EXITED_5\)$/
      const foreign = yield* node.mcp("deploy", "shop")
      told(
        foreign,
        ended,
        /user 1000:1000 cannot write \S+data \(owned by 0:0, mode 755\): chown or chmod it on the node/
      )
      assert.include(foreign.stderr, "Permission denied")
      yield* serves
      node.define("shop", shop({ port, script, keys: volume(":ro") }))
      const readOnly = yield* node.mcp("deploy", "shop")
      told(readOnly, ended, /check cmd, env and volumes/)
      assert.include(readOnly.stderr, "Read-only file system")
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
})
