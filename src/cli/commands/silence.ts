import { timestampDate } from "@bufbuild/protobuf/wkt"
import { Command, Options } from "@effect/cli"
import { Effect, Option, Schema } from "effect"
import { DurationMillis } from "../../domain/Scalars.ts"
import { UsageError } from "../../services/CliError.ts"
import * as Json from "../json.ts"
import { locate } from "../locate.ts"
import { acting, ask, ofService } from "../nodes.ts"
import { confirm } from "../output.ts"
import { invalid } from "../since.ts"
import * as Target from "../target.ts"
import { stamp } from "../time.ts"

const millisOf = Schema.decodeUnknownOption(DurationMillis)

const duration = Options.text("for").pipe(
  Options.withPseudoName("DURATION"),
  Options.mapEffect((word) =>
    Option.match(millisOf(word), {
      onNone: () => invalid(`--for ${word}: expected a duration such as "30m" or "2h"`),
      onSome: (ms) => (ms > 0 ? Effect.succeed(ms) : invalid("--for 0: --off ends a window"))
    })
  ),
  Options.optional,
  Options.withDescription("how long: 30m, 2h, 1d")
)
const off = Options.boolean("off").pipe(Options.withDescription("end the window now"))

export const silence = Command.make(
  "silence",
  { target: Target.one, duration, off },
  Effect.fn("cli.silence")(function* ({ duration, off, target }) {
    if (Option.isSome(duration) === off) {
      return yield* new UsageError({ problem: "say either --for DURATION or --off" })
    }
    const { component = "", service } = target
    const node = yield* locate(service)
    const options = yield* acting
    const forMs = BigInt(Option.getOrElse(duration, () => 0))
    const { until } = yield* ask(node, (client) => client.silenceTarget({ service, component, forMs }, options)).pipe(
      Effect.mapError(ofService(service))
    )
    const time = until === undefined ? null : timestampDate(until)
    const value = { service, component: component === "" ? null : component, node: node.name, until: time }
    yield* confirm(Json.Silence, value, () => [
      time === null
        ? `alerts of ${Target.format(target)} are sent again`
        : `no alerts of ${Target.format(target)} until ${stamp(time)}`
    ])
  })
).pipe(Command.withDescription("A maintenance window: no alerts of a service or component"))
