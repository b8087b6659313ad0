import { availableParallelism } from "node:os"
import { HttpClientRequest } from "@effect/platform"
import { Effect, Layer, Schema, Stream } from "effect"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import type { RuntimeUnavailable } from "../services/RuntimeError.ts"
import * as Api from "./podman/api.ts"
import * as Containers from "./podman/containers.ts"
import * as Events from "./podman/events.ts"
import * as Images from "./podman/images.ts"
import * as Networks from "./podman/networks.ts"
import * as Service from "./podman/service.ts"

const Version = Schema.Struct({ Version: Schema.String })

const version = (api: Api.Api) =>
  api.json({ operation: "version", request: HttpClientRequest.get("/version"), within: "10 seconds" }, Version).pipe(
    Effect.map((answer) => answer.Version),
    Effect.catchTag("Refusal", (error) => Effect.fail(Api.asUnavailable(error)))
  )

const Info = Schema.Struct({
  store: Schema.Struct({ graphRoot: Schema.String, imageCopyTmpDir: Schema.optional(Schema.String) })
})

/** Asked for once it has answered no more: podman's folders are settled when it starts. */
const folders = (api: Api.Api) => {
  let known: ReadonlyArray<string> | undefined
  const ask = api.json({ operation: "info", request: HttpClientRequest.get("/info"), within: "10 seconds" }, Info).pipe(
    Effect.map(({ store }) => [store.graphRoot, ...(store.imageCopyTmpDir ? [store.imageCopyTmpDir] : [])]),
    Effect.tap((found) =>
      Effect.sync(() => {
        known = found
      })
    ),
    Effect.catchTag("Refusal", (error) => Effect.fail(Api.asUnavailable(error)))
  )
  return Effect.suspend(() => (known ? Effect.succeed(known) : ask))
}

/**
 * Containers that are made or started at once on the whole node. Measured on two cores: four at once take about half
 * the time of one after another, and more do not help.
 */
const startsAtOnce = Math.max(2, 2 * availableParallelism())

const make = (api: Api.Api): ContainerRuntime["Type"] => {
  const containers = Containers.make(api)
  const images = Images.make(api)
  const networks = Networks.make(api)
  const width = Effect.unsafeMakeSemaphore(startsAtOnce)
  return ContainerRuntime.of({
    version: version(api),
    folders: folders(api),
    list: containers.list.pipe(Effect.withSpan("PodmanRuntime.list")),
    inspect: Effect.fn("PodmanRuntime.inspect")(containers.inspect),
    describe: Effect.fn("PodmanRuntime.describe")(containers.describe),
    create: Effect.fn("PodmanRuntime.create")((wanted) => width.withPermits(1)(containers.create(wanted))),
    start: Effect.fn("PodmanRuntime.start")((container) => width.withPermits(1)(containers.start(container))),
    stop: Effect.fn("PodmanRuntime.stop")(containers.stop),
    remove: Effect.fn("PodmanRuntime.remove")(containers.remove),
    rename: Effect.fn("PodmanRuntime.rename")(containers.rename),
    wait: Effect.fn("PodmanRuntime.wait")(containers.wait),
    exec: Effect.fn("PodmanRuntime.exec")(containers.exec),
    attach: Effect.fn("PodmanRuntime.attach")(containers.attach),
    stats: Effect.fn("PodmanRuntime.stats")(containers.stats),
    logs: (container, options) => Stream.withSpan(containers.logs(container, options), "PodmanRuntime.logs"),
    events: Events.make(api),
    image: Effect.fn("PodmanRuntime.image")(images.image),
    pull: (reference, options) => Stream.withSpan(images.pull(reference, options), "PodmanRuntime.pull"),
    layers: images.layers.pipe(Effect.withSpan("PodmanRuntime.layers")),
    loadImage: (image, pieces) => Effect.withSpan(images.loadImage(image, pieces), "PodmanRuntime.loadImage"),
    removeImage: Effect.fn("PodmanRuntime.removeImage")(images.removeImage),
    ensureNetwork: Effect.fn("PodmanRuntime.ensureNetwork")(networks.ensureNetwork),
    removeNetwork: Effect.fn("PodmanRuntime.removeNetwork")(networks.removeNetwork)
  })
}

/** Speaks libpod over the socket of a podman service that somebody else runs. */
export const layer = (options: { readonly socketPath: string }): Layer.Layer<ContainerRuntime> =>
  Layer.scoped(ContainerRuntime, Effect.map(Api.make(options.socketPath), make))

/** Runs a podman service of its own in `stateDir`, and starts it again when it dies. Containers outlive it. */
export const layerOwned = (options: {
  readonly stateDir: string
  /** podman, with options that come before `system service`. */
  readonly command?: ReadonlyArray<string>
}): Layer.Layer<ContainerRuntime, RuntimeUnavailable> =>
  Layer.scoped(
    ContainerRuntime,
    Effect.gen(function* () {
      const service = yield* Service.run({ stateDir: options.stateDir, command: options.command ?? ["podman"] })
      // Made after the service, so that its connections are closed before the service is told to end.
      const api = yield* Api.make(service.socketPath)
      yield* service.ready(version(api))
      return make(api)
    })
  )
