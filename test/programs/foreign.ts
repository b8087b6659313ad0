import { Effect } from "effect"
import { serviceNetwork } from "../../src/domain/Names.ts"
import { hostnameOf, routeKey, routesToAllocate } from "../../src/domain/Ports.ts"
import type { ServiceSpec } from "../../src/domain/Spec.ts"
import { ownNetworkLabels } from "../../src/programs/containers.ts"
import { newContainer } from "../../src/programs/newContainer.ts"
import { ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import { Proxy } from "../../src/services/Proxy.ts"
import { SecretFiles } from "../../src/services/SecretFiles.ts"

export const oldRegistry = "01OLDREGISTRY0000000000000"

/** A service as an agent left it whose database is lost: containers, bridge and routes, and no row of any of them. */
export const leftBehind = (spec: ServiceSpec) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    const proxy = yield* Proxy
    const network = serviceNetwork(spec.name)
    yield* runtime.ensureNetwork(network, ownNetworkLabels(spec.name, oldRegistry))
    let port = 20_000
    for (const component of spec.components) {
      const allocated = new Map(routesToAllocate(component).map((route) => [routeKey(route), ++port]))
      const by = { node: "rift", registry: oldRegistry, deployment: "01OLDDEPLOYMENT00000000000" }
      const image = component.image
      const files = yield* SecretFiles
      const of = { service: spec.name, component: component.name, generation: 3 }
      const secretFile = (secret: string) => files.file(of, secret)
      const id = yield* runtime.create(
        newContainer(spec, component, { ...by, generation: 3, imageId: image, allocated, secretFile })
      )
      yield* runtime.start(id)
      yield* proxy.change({
        set: component.routes.map((route) => ({
          hostname: hostnameOf(spec.name, route, undefined),
          port: route.port,
          mode: route.mode ?? "l7",
          backend: { host: "127.0.0.1", port: allocated.get(routeKey(route)) ?? 0 }
        })),
        remove: []
      })
    }
  })
