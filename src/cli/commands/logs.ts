import { timestampFromDate } from "@bufbuild/protobuf/wkt"
import { Command, Options } from "@effect/cli"
import { Chunk, Effect, Option, Stream } from "effect"
import type { LogsResponse } from "../../gen/mcp/v1/mcp_pb.ts"
import { Agents, type NodeConfig } from "../../services/Agents.ts"
import type { Paint, Style } from "../ansi.ts"
import { Globals } from "../Globals.ts"
import * as Json from "../json.ts"
import { locate } from "../locate.ts"
import { acting, ask, at, ofService, reading } from "../nodes.ts"
import { jsonLine, look } from "../output.ts"
import { date } from "../rows.ts"
import { Screen } from "../Screen.ts"
import { invalid, since } from "../since.ts"
import * as Target from "../target.ts"

const lines = (n: number) =>
  n >= 0 && n <= 0xffff_ffff ? Effect.succeed(n) : invalid(`--tail ${n}: expected a number of lines, 0 or more`)

const options = {
  follow: Options.boolean("follow").pipe(Options.withAlias("f"), Options.withDescription("go on as lines come")),
  tail: Options.integer("tail").pipe(
    Options.withPseudoName("N"),
    Options.mapEffect(lines),
    Options.optional,
    Options.withDescription("only the last N lines of each")
  ),
  since,
  timestamps: Options.boolean("timestamps").pipe(Options.withAlias("t"), Options.withDescription("show the times"))
}

interface Source {
  readonly service: string
  readonly node: NodeConfig
  /** Of the service; what is streamed may be one of them. */
  readonly components: ReadonlyArray<string>
  readonly whole: boolean
}

const sourceOf = (service: string, components: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const node = yield* locate(service)
    if (components.length > 0) return { service, node, components, whole: false } satisfies Source
    const options = yield* reading
    // Lines are only prefixed where there is more than one component, so we must know first.
    const { services } = yield* ask(node, (client) => client.getServiceStatus({ service }, options))
    const all = services.flatMap((s) => s.info?.components.map((c) => c.name) ?? [])
    return { service, node, components: all, whole: true } satisfies Source
  }).pipe(Effect.mapError(ofService(service)))

const palette: ReadonlyArray<Style> = ["cyan", "yellow", "green", "magenta", "blue"]

/** The prefix of each component's lines, in columns; none where only one component speaks. */
const prefixer = (sources: ReadonlyArray<Source>, paint: Paint) => {
  const all = sources.flatMap((s) => s.components.map((component) => `${s.service}/${component}`))
  if (all.length < 2) return () => ""
  const short = sources.length === 1
  const label = (key: string) => (short ? key.slice(key.indexOf("/") + 1) : key)
  const width = Math.max(...all.map((key) => label(key).length))
  return (service: string, component: string) => {
    const key = `${service}/${component}`
    const index = all.indexOf(key)
    return `${paint(palette[Math.max(0, index) % palette.length], `${label(key).padEnd(width)} |`)} `
  }
}

export const logs = Command.make(
  "logs",
  { targets: Target.some, ...options },
  Effect.fn("cli.logs")(function* ({ follow, since, tail, targets, timestamps }) {
    const agents = yield* Agents
    const screen = yield* Screen
    const { json } = yield* Globals
    const callOptions = yield* acting
    const { paint } = yield* look
    const sources = yield* Effect.forEach(
      Target.grouped(targets),
      ({ components, service }) => sourceOf(service, components),
      { concurrency: "unbounded" }
    )
    const prefix = prefixer(sources, paint)
    const format = (source: Source, { at, component, line, stream }: LogsResponse) => {
      const time = date(at)
      if (json) {
        const row = { service: source.service, component, node: source.node.name, at: time, stream, line }
        return jsonLine(Json.LogLine, row)
      }
      const when = timestamps && time !== null ? `${paint("dim", time.toISOString())} ` : ""
      return `${prefix(source.service, component)}${when}${line}\n`
    }
    const streams = sources.flatMap((source) =>
      (source.whole ? [""] : source.components).map((component) =>
        Stream.unwrapScoped(
          Effect.map(agents.connect(source.node), (client) =>
            client
              .logs(
                {
                  service: source.service,
                  component,
                  follow,
                  ...Option.match(tail, { onNone: () => ({}), onSome: (tail) => ({ tail }) }),
                  ...Option.match(since, { onNone: () => ({}), onSome: (time) => ({ since: timestampFromDate(time) }) })
                },
                callOptions
              )
              .pipe(
                Stream.mapError((error) => ofService(source.service)(at(source.node)(error))),
                Stream.map((line) => format(source, line))
              )
          )
        )
      )
    )
    yield* Stream.mergeAll(streams, { concurrency: "unbounded" }).pipe(
      Stream.runForEachChunk((lines) => screen.out(Chunk.join(lines, "")))
    )
  })
).pipe(Command.withDescription("What components write, one or many at once"))
