import { Args, Command } from "@effect/cli"
import { Clock, Effect, Option, Stream } from "effect"
import { encodeFileEntry, encodePush } from "../../grpc/fileParts.ts"
import { type AgentClient, Agents } from "../../services/Agents.ts"
import { UsageError } from "../../services/CliError.ts"
import { FileNotFound } from "../../services/FileTransfer.ts"
import { LocalTree } from "../../services/LocalTree.ts"
import { quoted } from "../errors.ts"
import * as Json from "../json.ts"
import { locate } from "../locate.ts"
import { acting, at, isRpcError, ofService } from "../nodes.ts"
import { confirm, note } from "../output.ts"
import * as Target from "../target.ts"
import { conclude, modeOf, options, pathBytes, summary, watched } from "../transfer.ts"

const local = Args.text({ name: "local" }).pipe(Args.withDescription("a file or folder of this machine"))
const path = Args.text({ name: "path" }).pipe(
  Args.optional,
  Args.withDescription("where to, below the service's folder; ending in / into that folder")
)

/** Like `cp`: a path that ends in / is a folder to put it in. */
const placeOf = (path: string | undefined, base: string, isFolder: boolean) => {
  if (path === undefined) return base
  if (path.endsWith("/")) return `${path}${base}`
  return path === "." && !isFolder ? base : path
}

const start = (service: string, place: string) => ({ service, path: pathBytes(place) })

/** What the agent has of the file, when that is how ours begins. */
const heldBy = (client: AgentClient, local: string, service: string, place: string) =>
  Effect.gen(function* () {
    const tree = yield* LocalTree
    const entry = yield* tree.look(local)
    if (entry === undefined) return undefined
    const ask = { start: { ...start(service, place), askHeld: encodeFileEntry(entry) }, last: true }
    const { held, heldSha256 } = yield* client.pushFile(Stream.succeed(ask), yield* acting)
    if (held === 0n) {
      yield* note("nothing to go on with: the whole file is sent")
      return undefined
    }
    return { bytes: Number(held), sha256: heldSha256 }
  })

export const push = Command.make(
  "push",
  { local, service: Target.service, path, ...options },
  Effect.fn("cli.push")(function* ({ local, mode, path, resume, service, tree }) {
    const files = yield* LocalTree
    const permissions = yield* modeOf(mode)
    const source = yield* files.look(local)
    if (source === undefined) return yield* new FileNotFound({ path: local })
    const isFolder = source.kind === "folder"
    if (isFolder && !tree) {
      return yield* new UsageError({
        problem: `${local} is a folder`,
        nextStep: `mcp push -r ${quoted(local)} ${service}`
      })
    }
    if (isFolder && resume)
      return yield* new UsageError({ problem: "--resume goes on with a single file, not a folder" })
    const place = placeOf(Option.getOrUndefined(path), files.baseName(local), isFolder)
    const node = yield* locate(service)
    const callOptions = yield* acting
    const transfer = Effect.gen(function* () {
      const client = yield* (yield* Agents).connect(node, "bulk")
      const held = resume ? yield* heldBy(client, local, service, place) : undefined
      const { seen, through } = yield* watched
      const first = {
        start: {
          ...start(service, place),
          tree: isFolder,
          ...(permissions === undefined ? {} : { mode: permissions })
        }
      }
      const parts = through(files.read(local, isFolder, held))
      const sent = Stream.concat(Stream.succeed(first), Stream.map(parts, encodePush))
      const done = yield* client.pushFile(sent, callOptions)
      return { done, seen, took: (yield* Clock.currentTimeMillis) - seen.start }
    })
    const { done, seen, took } = yield* Effect.scoped(transfer).pipe(
      Effect.mapError((error) => (isRpcError(error) ? ofService(service)(at(node)(error)) : error))
    )
    const value = {
      ...{ service, node: node.name, path: place, local },
      files: Number(done.files),
      bytes: Number(done.bytes),
      resumed_bytes: seen.resumed,
      took_ms: took,
      skipped: seen.skipped
    }
    yield* confirm(Json.Pushed, value, () => [
      `pushed ${local} to ${service} on ${node.name} as ${place}: ${summary(value)}`
    ])
    yield* conclude(seen.skipped)
  })
).pipe(Command.withDescription("Write files into a service's own folder"))
