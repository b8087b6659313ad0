import { Context, Effect, Layer, Option } from "effect"
import { type Backend, Proxy, type ProxyRefused, type ProxyRoute, type ProxyUnavailable } from "../services/Proxy.ts"

/** The strings behind a recording proxy, for tests. */
export class FakeProxyControl extends Context.Tag("mcp/FakeProxyControl")<
  FakeProxyControl,
  {
    /** The routes as they are, sorted: `hostname:port -> host:port`. */
    readonly routes: Effect.Effect<ReadonlyArray<string>>
    /** Where a hostname leads now. */
    readonly backend: (hostname: string, port: number) => Effect.Effect<Option.Option<Backend>>
    /** Each batch, in order: `+` what was set, `-` what was removed. */
    readonly batches: Effect.Effect<ReadonlyArray<string>>
    /** The next `times` changes fail so. */
    readonly failNext: (error: ProxyUnavailable | ProxyRefused, times?: number) => Effect.Effect<void>
    /** Without a counter the driver cannot tell what is in flight. */
    readonly setInFlight: (count: ((backend: Backend) => number) | undefined) => Effect.Effect<void>
  }
>() {}

const at = (key: { readonly hostname: string; readonly port: number }) => `${key.hostname}:${key.port}`

const make = Effect.sync(() => {
  const routes = new Map<string, ProxyRoute>()
  const batches: Array<string> = []
  const faults: Array<ProxyUnavailable | ProxyRefused> = []
  let inFlight: ((backend: Backend) => number) | undefined = () => 0
  const shown = (route: ProxyRoute) => `${at(route)} -> ${route.backend.host}:${route.backend.port}`
  const proxy = Proxy.of({
    driver: "fake",
    modes: ["l7", "l4"],
    check: Effect.void,
    change: ({ remove, set }) =>
      Effect.suspend(() => {
        const fault = faults.shift()
        if (fault) return Effect.fail(fault)
        for (const key of remove) routes.delete(at(key))
        for (const route of set) routes.set(at(route), route)
        batches.push([...remove.map((key) => `-${at(key)}`), ...set.map((route) => `+${shown(route)}`)].join(" "))
        return Effect.void
      }),
    inFlight: (backend) => Effect.sync(() => Option.map(Option.fromNullable(inFlight), (count) => count(backend)))
  })
  const control = FakeProxyControl.of({
    routes: Effect.sync(() => [...routes.values()].map(shown).sort()),
    backend: (hostname, port) =>
      Effect.sync(() => Option.map(Option.fromNullable(routes.get(`${hostname}:${port}`)), (route) => route.backend)),
    batches: Effect.sync(() => [...batches]),
    failNext: (error, times = 1) =>
      Effect.sync(() => {
        for (let i = 0; i < times; i++) faults.push(error)
      }),
    setInFlight: (count) =>
      Effect.sync(() => {
        inFlight = count
      })
  })
  return Context.make(Proxy, proxy).pipe(Context.add(FakeProxyControl, control))
})

/** A proxy that records what it is told, and serves nothing. */
export const layer: Layer.Layer<Proxy | FakeProxyControl> = Layer.effectContext(make)
