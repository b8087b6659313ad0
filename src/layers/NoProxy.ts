import { Effect, Layer, Option } from "effect"
import { Proxy } from "../services/Proxy.ts"

/** The node has no proxy: nothing is routed, and whoever deploys a route is told so. */
export const layer: Layer.Layer<Proxy> = Layer.succeed(Proxy, {
  driver: "none",
  modes: [],
  check: Effect.void,
  change: () => Effect.void,
  inFlight: () => Effect.succeed(Option.some(0))
})
