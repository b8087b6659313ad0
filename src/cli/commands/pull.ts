import { Args, Command } from "@effect/cli"
import { Clock, Effect, Option, Stream } from "effect"
import { decodeParts } from "../../grpc/fileParts.ts"
import { Agents } from "../../services/Agents.ts"
import { UsageError } from "../../services/CliError.ts"
import { LocalTree } from "../../services/LocalTree.ts"
import * as Json from "../json.ts"
import { locate } from "../locate.ts"
import { acting, at, isRpcError, ofService } from "../nodes.ts"
import { confirm, note } from "../output.ts"
import * as Target from "../target.ts"
import { conclude, modeOf, options, pathBytes, summary, watched } from "../transfer.ts"

const path = Args.text({ name: "path" }).pipe(Args.withDescription("a path below the service's own folder"))
const local = Args.text({ name: "local" }).pipe(
  Args.optional,
  Args.withDescription("where to on this machine; into it when it is a folder")
)

const lastOf = (path: string) => path.split("/").findLast((part) => part !== "" && part !== ".")

/** A file goes into a folder that is there. A folder takes the place that is named, or its own name here. */
const placeOf = (service: string, path: string, local: string | undefined, tree: boolean) =>
  Effect.gen(function* () {
    const base = lastOf(path) ?? service
    if (local === undefined) return base
    if (local.endsWith("/")) return `${local}${base}`
    const there = yield* (yield* LocalTree).look(local)
    return there?.kind === "folder" && !tree ? `${local}/${base}` : local
  })

export const pull = Command.make(
  "pull",
  { service: Target.service, path, local, ...options },
  Effect.fn("cli.pull")(function* ({ local, mode, path, resume, service, tree }) {
    const files = yield* LocalTree
    const permissions = yield* modeOf(mode)
    if (tree && resume) return yield* new UsageError({ problem: "--resume goes on with a single file, not a folder" })
    const place = yield* placeOf(service, path, Option.getOrUndefined(local), tree)
    const node = yield* locate(service)
    const callOptions = yield* acting
    const held = resume ? yield* files.held(place) : undefined
    if (held?.bytes === 0) yield* note("nothing to go on with: the whole file is fetched")
    const transfer = Effect.gen(function* () {
      const client = yield* (yield* Agents).connect(node, "bulk")
      const { seen, through } = yield* watched
      const request = {
        ...{ service, path: pathBytes(path), tree },
        ...(held === undefined || held.bytes === 0 ? {} : { held: BigInt(held.bytes), heldSha256: held.sha256 })
      }
      const parts = through(Stream.map(client.pullFile(request, callOptions), decodeParts))
      const done = yield* files.write(place, { tree, mode: permissions }, parts)
      return { done, seen, took: (yield* Clock.currentTimeMillis) - seen.start }
    })
    const { done, seen, took } = yield* Effect.scoped(transfer).pipe(
      Effect.mapError((error) => (isRpcError(error) ? ofService(service)(at(node)(error)) : error))
    )
    const value = {
      ...{ service, node: node.name, path, local: place },
      files: done.files,
      bytes: done.bytes,
      resumed_bytes: seen.resumed,
      took_ms: took,
      skipped: seen.skipped
    }
    yield* confirm(Json.Pulled, value, () => [
      `pulled ${path} of ${service} on ${node.name} to ${place}: ${summary(value)}`
    ])
    yield* conclude(seen.skipped)
  })
).pipe(Command.withDescription("Read files from a service's own folder"))
