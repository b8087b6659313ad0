import { Command, Options } from "@effect/cli"
import { Deferred, Effect, Either, Option, Stream } from "effect"
import type { StatsResponse } from "../../gen/mcp/v1/mcp_pb.ts"
import type { CallOptions } from "../../grpc/channel.ts"
import { Code, plainError, type RpcError } from "../../grpc/status.ts"
import { Agents, type NodeConfig } from "../../services/Agents.ts"
import { bytes } from "../bytes.ts"
import * as Json from "../json.ts"
import { locate } from "../locate.ts"
import { allNodes, at, failIfAnswered, isRefusal, isRpcError, reading } from "../nodes.ts"
import type { Look } from "../output.ts"
import { names, overview, type Silent, silentCell } from "../overview.ts"
import * as rows from "../rows.ts"
import { type Cell, table } from "../table.ts"
import * as Target from "../target.ts"
import { polled, watch } from "../watch.ts"

const heading = [
  ...["SERVICE", "COMPONENT", "NODE", "CPU", "MEMORY", "MEM%", "LIMIT"],
  ...["NET-IN", "NET-OUT", "BLOCK-IN", "BLOCK-OUT", "PIDS"]
]

const percent = (value: number) => `${value.toFixed(1)}%`
const amount = (count: number | null) => (count === null ? "" : bytes(count))

const cells = (c: Json.Used): ReadonlyArray<Cell> => {
  const limit = c.memory_limit_bytes
  return [
    ...[c.service, c.component, c.node],
    // One that does not run has no numbers, and says so where the first would be.
    c.cpu_percent === null ? rows.stateCell(c.state, { desired: c.desired }) : percent(c.cpu_percent),
    amount(c.memory_bytes),
    c.memory_bytes === null || limit === null || limit === 0 ? "" : percent((c.memory_bytes / limit) * 100),
    ...[limit, c.network_in_bytes, c.network_out_bytes, c.block_in_bytes, c.block_out_bytes].map(amount),
    c.pids === null ? "" : String(c.pids)
  ]
}

const render = (components: ReadonlyArray<Json.Used>, silent: Silent, look: Look) =>
  table(
    heading,
    [
      ...components.map(cells),
      ...silent.map(({ error, node }) => ["", "", node.name, silentCell(error), ...heading.slice(4).map(() => "")])
    ],
    look
  )

/** One call: a node, and of what. */
interface Asked {
  readonly node: NodeConfig
  readonly service: string
  readonly component: string
}

type Result = Either.Either<StatsResponse, RpcError>

const asked = (targets: ReadonlyArray<Target.Target>) =>
  Effect.gen(function* () {
    if (targets.length === 0) {
      return (yield* allNodes).map((node): Asked => ({ node, service: "", component: "" }))
    }
    const found = yield* Effect.forEach(
      Target.grouped(targets),
      ({ components, service }) =>
        Effect.map(locate(service), (node) =>
          (components.length === 0 ? [""] : components).map((component): Asked => ({ node, service, component }))
        ),
      { concurrency: "unbounded" }
    )
    return found.flat()
  })

const looks = ({ component, node, service }: Asked, follow: boolean, options: CallOptions) =>
  Stream.unwrapScoped(
    Effect.map(
      Effect.flatMap(Agents, (agents) => agents.connect(node)),
      (client) => client.stats({ service, component, follow }, options)
    )
  ).pipe(Stream.mapError((error) => (isRpcError(error) ? at(node)(error) : error)))

/** Any node that fails hides none of the others. */
const settled = <A, E, R>(look: Effect.Effect<A, E | RpcError, R>) =>
  look.pipe(
    Effect.map((value): Either.Either<A, RpcError> => Either.right(value)),
    Effect.catchIf(isRpcError, (error) => Effect.succeed(Either.left(error)))
  ) as Effect.Effect<Either.Either<A, RpcError>, Exclude<E, RpcError>, R>

const pictureOf = (all: ReadonlyArray<Asked>, results: ReadonlyArray<Result>) =>
  Effect.gen(function* () {
    const failed = new Map<string, Silent[number]>()
    const components: Array<Json.Used> = []
    for (const [i, { node }] of all.entries()) {
      const result = results[i]
      if (result === undefined) continue
      if (Either.isLeft(result)) failed.set(node.name, failed.get(node.name) ?? { node, error: result.left })
      else components.push(...result.right.components.map((c) => rows.used(c, node.name)))
    }
    const silent = [...failed.values()]
    const refused = silent.find(({ error }) => isRefusal(error))
    if (refused !== undefined && silent.length === results.length) return yield* refused.error
    if (all.some(({ service }) => service !== "")) yield* failIfAnswered(silent)
    const value = { components: rows.sorted(components), unreachable_nodes: silent.map(rows.unreachable) }
    const answered = [...new Set(all.map(({ node }) => node.name))].filter((name) => !failed.has(name))
    const none = components.length === 0 && answered.length > 0
    return {
      value,
      silent,
      lines: (look: Look) => (none && silent.length === 0 ? [empty(answered)] : render(value.components, silent, look)),
      empty: none ? empty(answered) : undefined
    }
  })

const empty = (nodes: ReadonlyArray<string>) => `no services on ${names(nodes)}`

const SILENCE = "10 seconds"

const noNumbers = () => plainError(Code.DEADLINE_EXCEEDED, "it has sent no numbers for 10 s")

/** Keeps the newest look of each, fed by the agents, for as long as it runs. */
const followed = (all: ReadonlyArray<Asked>) =>
  Effect.gen(function* () {
    const newest = new Map<number, Result>()
    const ready = yield* Deferred.make<void>()
    const keep = (index: number, result: Result) =>
      Effect.suspend(() => {
        newest.set(index, result)
        return newest.size === all.length ? Effect.asVoid(Deferred.succeed(ready, undefined)) : Effect.void
      })
    const follow = (one: Asked, index: number) =>
      looks(one, true, {}).pipe(
        Stream.timeoutFail(() => at(one.node)(noNumbers()), SILENCE),
        Stream.runForEach((look) => keep(index, Either.right(look))),
        settled,
        Effect.flatMap((ended) => (Either.isLeft(ended) ? keep(index, ended as Result) : Effect.void)),
        Effect.zipRight(Effect.sleep("2 seconds")),
        Effect.forever
      )
    return {
      run: Effect.forEach(all, follow, { concurrency: "unbounded", discard: true }),
      picture: Effect.zipRight(
        Deferred.await(ready),
        Effect.suspend(() =>
          pictureOf(
            all,
            all.flatMap((_, index) => newest.get(index) ?? [])
          )
        )
      )
    }
  })

const watching = Options.boolean("watch").pipe(Options.withAlias("w"), Options.withDescription("go on, until Ctrl-C"))

export const stats = Command.make(
  "stats",
  { targets: Target.any, watch: watching },
  Effect.fn("cli.stats")(function* (args) {
    const all = yield* asked(args.targets)
    if (args.watch) {
      const { picture, run } = yield* followed(all)
      const title = ["mcp stats", ...args.targets.map(Target.format)].join(" ")
      return yield* Effect.raceFirst(watch(title, Json.Stats, polled(picture)), run)
    }
    const options = yield* reading
    const results = yield* Effect.forEach(
      all,
      (one) =>
        settled(
          Effect.flatMap(
            Stream.runHead(looks(one, false, options)),
            Option.match({ onNone: () => noAnswer, onSome: (look) => Effect.succeed(look) })
          )
        ),
      { concurrency: "unbounded" }
    )
    const { empty, lines, silent, value } = yield* pictureOf(all, results)
    yield* overview(Json.Stats, value, lines, silent, { empty })
  })
).pipe(Command.withDescription("What components use: CPU, memory, network, block I/O"))

const noAnswer = plainError(Code.INTERNAL, "the agent sent no numbers")
