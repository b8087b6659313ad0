import { Effect, Layer, Option } from "effect"
import { Proxy, ProxyUnavailable } from "../services/Proxy.ts"

/** The node has no proxy: nothing is routed, and whoever deploys a route is told so. */
export const layer: Layer.Layer<Proxy> = Layer.succeed(Proxy, {
  driver: "none",
  modes: [],
  check: Effect.void,
  change: () => Effect.void,
  inFlight: () => Effect.succeed(Option.some(0))
})

/** The config names a driver that this version does not have: routes are refused rather than left out in silence. */
export const layerMissing = (driver: string): Layer.Layer<Proxy> => {
  const missing = new ProxyUnavailable({ driver, why: "this version does not have this driver yet" })
  return Layer.succeed(Proxy, {
    driver,
    modes: ["l4", "l7"],
    check: missing,
    change: () => missing,
    inFlight: () => missing
  })
}
