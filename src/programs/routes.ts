import { Effect } from "effect"
import { type Allocated, hostnameOf, hostPortOf } from "../domain/Ports.ts"
import type { ComponentSpec, ServiceSpec } from "../domain/Spec.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { type Backend, Proxy, type ProxyRoute, type RouteKey } from "../services/Proxy.ts"

/** What the proxy knows the routes of these components by. */
export const keysOf = (service: string, components: ReadonlyArray<Pick<ComponentSpec, "routes">>) =>
  Effect.map(NodeInfo, ({ zone }) =>
    components.flatMap(({ routes }) =>
      routes.map((route): RouteKey => ({ hostname: hostnameOf(service, route, zone), port: route.port }))
    )
  )

/** Where the routes of a component lead, with the host ports of one of its containers. */
export const backendsOf = (component: ComponentSpec, allocated: Allocated): ReadonlyArray<Backend> =>
  component.routes.flatMap((route) => {
    const port = hostPortOf(component, route, allocated)
    return port === undefined ? [] : [{ host: "127.0.0.1", port }]
  })

/** The routes of components as the proxy is to have them. */
export const proxyRoutes = (
  spec: ServiceSpec,
  components: ReadonlyArray<{ readonly component: ComponentSpec; readonly allocated: Allocated }>
) =>
  Effect.gen(function* () {
    const { zone } = yield* NodeInfo
    const { modes } = yield* Proxy
    return components.flatMap(({ allocated, component }) =>
      component.routes.flatMap((route): ReadonlyArray<ProxyRoute> => {
        const port = hostPortOf(component, route, allocated)
        const mode = route.mode ?? modes[0] ?? "l7"
        return port === undefined
          ? []
          : [
              {
                hostname: hostnameOf(spec.name, route, zone),
                port: route.port,
                mode,
                backend: { host: "127.0.0.1", port }
              }
            ]
      })
    )
  })

const text = (key: RouteKey) => `${key.hostname}:${key.port}`

/** One batch; nothing is sent when there is nothing to change. What is set is not removed. */
export const changeRoutes = (set: ReadonlyArray<ProxyRoute>, gone: ReadonlyArray<RouteKey>) =>
  Effect.gen(function* () {
    const proxy = yield* Proxy
    const kept = new Set(set.map(text))
    const remove = gone.filter((key) => !kept.has(text(key)))
    if (set.length > 0 || remove.length > 0) yield* proxy.change({ set, remove })
  })
