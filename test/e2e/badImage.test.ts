import { join } from "node:path"
import { layer } from "@effect/vitest"
import { Effect } from "effect"
import { freePort } from "../support/agent.ts"
import { imageRegistry } from "../support/imageRegistry.ts"
import { OldShop, shop, told } from "../support/shop.ts"

let registry = ""

const WithRegistry = OldShop.layerWith((node) =>
  Effect.map(imageRegistry(node), (address) => {
    registry = address
  })
)

layer(WithRegistry, { excludeTestServices: true, timeout: "120 seconds" })("an image that cannot be used", (it) => {
  it.effect("the image registry does not have it, or does not answer", () =>
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

  it.effect("it is built for another architecture, whether it is here or has to be pulled", () =>
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
})
