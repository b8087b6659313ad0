import { Command, Options } from "@effect/cli"
import { Clock, Effect, Option, Ref, Stream } from "effect"
import type { CreateSnapshotResponse, CreateSnapshotResult } from "../../../gen/mcp/v1/mcp_pb.ts"
import { Code, RpcError } from "../../../grpc/status.ts"
import { bytes } from "../../bytes.ts"
import * as Json from "../../json.ts"
import { locate } from "../../locate.ts"
import { acting, ask, ofService } from "../../nodes.ts"
import { confirm, note, warn } from "../../output.ts"
import { invalid } from "../../since.ts"
import * as Target from "../../target.ts"
import { took } from "../../time.ts"
import { drawing, progressLine } from "../../transfer.ts"
import { download, placeFor } from "./download.ts"
import { counted, row, wait } from "./words.ts"

const output = Options.text("output").pipe(
  Options.withAlias("o"),
  Options.withPseudoName("FILE"),
  Options.optional,
  Options.withDescription("also a copy here: a new file, or a folder")
)
const keep = Options.integer("keep").pipe(
  Options.withPseudoName("N"),
  Options.mapEffect((n) => (n > 0 && n <= 10_000 ? Effect.succeed(n) : invalid(`--keep ${n}: expected 1 to 10000`))),
  Options.optional,
  Options.withDescription("afterwards the newest N of the service stay")
)

interface Seen {
  readonly phase: string
  readonly done: { readonly files: number; readonly bytes: number }
  readonly total: { readonly files: number; readonly bytes: number }
  /** When the first file was begun. */
  readonly start: number | undefined
  readonly leftOut: ReadonlyArray<{ readonly path: string; readonly reason: string }>
  readonly result: CreateSnapshotResult | undefined
}

const nothing: Seen = {
  phase: "",
  done: { files: 0, bytes: 0 },
  total: { files: 0, bytes: 0 },
  start: undefined,
  leftOut: [],
  result: undefined
}

const advance = (seen: Seen, { event }: CreateSnapshotResponse, now: number): Seen => {
  switch (event.case) {
    case "waiting":
      return { ...seen, phase: `waits for ${event.value}` }
    case "command":
      return { ...seen, phase: `the cmd of [snapshot] runs in ${event.value}` }
    case "progress": {
      const { bytes, files, totalBytes, totalFiles } = event.value
      return {
        ...seen,
        done: { files: Number(files), bytes: Number(bytes) },
        total: { files: Number(totalFiles), bytes: Number(totalBytes) },
        start: seen.start ?? now
      }
    }
    case "leftOut":
      return { ...seen, leftOut: [...seen.leftOut, { path: event.value.path, reason: event.value.why }] }
    case "result":
      return { ...seen, result: event.value }
    default:
      return seen
  }
}

const line = ({ done, phase, start, total }: Seen, now: number) =>
  start === undefined ? phase : progressLine({ ...done, start, total, resumed: 0, current: undefined }, now)

/** Whoever trusts in it would learn it on the day that it is needed. */
const holdsNothing = ({ method, service }: Json.Snapshot) =>
  method === "known"
    ? `it holds no file: without [snapshot] only *.toml, *.db and *.pem are copied; method = "full" copies all files`
    : `it holds no file: there is none in the folder of ${service} on the node`

export const create = Command.make(
  "create",
  { service: Target.service, output, keep, wait },
  Effect.fn("cli.snapshot.create")(function* ({ keep, output, service, wait }) {
    const node = yield* locate(service)
    const options = yield* acting
    const placed = Option.isSome(output) ? yield* placeFor(output.value) : undefined
    const startedAt = yield* Clock.currentTimeMillis
    const state = yield* Ref.make(nothing)
    const request = { service, keep: Option.getOrElse(keep, () => 0), waitForLock: wait }
    yield* ask(node, (client) =>
      Effect.gen(function* () {
        yield* drawing((now) => line(Effect.runSync(Ref.get(state)), now))
        yield* Stream.runForEach(client.createSnapshot(request, options), (event) =>
          Effect.gen(function* () {
            const now = yield* Clock.currentTimeMillis
            yield* Ref.update(state, (seen) => advance(seen, event, now))
            if (event.event.case === "waiting") yield* note(`${service} waits for ${event.event.value}`)
          })
        )
      })
    ).pipe(Effect.mapError(ofService(service)))
    const { leftOut, result } = yield* Ref.get(state)
    if (result?.snapshot === undefined) return yield* withoutResult(service, node.name)
    const snapshot = row(result.snapshot, node.name)
    for (const { path, reason } of leftOut) yield* warn(`left out: ${path}: ${reason}`)
    if (snapshot.files === 0) yield* warn(holdsNothing(snapshot))
    const place = placed?.(snapshot)
    if (place !== undefined) {
      yield* Effect.tapError(download(node, snapshot, place), () =>
        note(`${node.name} keeps the snapshot ${snapshot.id} of ${service} all the same`)
      )
    }
    const value = {
      ...{ snapshot, left_out: leftOut, removed: result.removed, output: place ?? null },
      took_ms: (yield* Clock.currentTimeMillis) - startedAt
    }
    yield* confirm(Json.SnapshotMade, value, () => [
      `made the snapshot ${snapshot.id} of ${service} on ${node.name}: ${counted(snapshot.files ?? 0)}, ${bytes(
        snapshot.bytes ?? 0
      )}, packed ${bytes(snapshot.size_bytes)} in ${took(value.took_ms)}`,
      ...(place === undefined ? [] : [`copied to ${place}`]),
      ...(value.removed.length === 0 ? [] : [`removed ${value.removed.length} older: ${value.removed.join(", ")}`])
    ])
  })
).pipe(Command.withDescription("Copy a service's data into a snapshot on its node"))

const withoutResult = (service: string, node: string) =>
  new RpcError({
    ...{ code: Code.ABORTED, reason: "RESULT_UNKNOWN", service, node },
    detail: "the agent ended the call without a result",
    nextStep: `mcp snapshot list ${service}`
  })
