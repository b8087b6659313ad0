import type { MessageInitShape } from "@bufbuild/protobuf"
import { Command, Options } from "@effect/cli"
import { Deferred, Effect, type Scope, Stream } from "effect"
import type { ExecRequestSchema, ExecResponse } from "../../gen/mcp/v1/mcp_pb.ts"
import { Code, RpcError } from "../../grpc/status.ts"
import { Agents } from "../../services/Agents.ts"
import { ExitWith, UsageError } from "../../services/CliError.ts"
import { tame } from "../ansi.ts"
import { Globals } from "../Globals.ts"
import { locate } from "../locate.ts"
import { acting, at, isRpcError, ofService } from "../nodes.ts"
import { warn } from "../output.ts"
import { Screen } from "../Screen.ts"
import { Stdio } from "../Stdio.ts"
import * as Target from "../target.ts"

type Request = MessageInitShape<typeof ExecRequestSchema>

const options = {
  tty: Options.boolean("tty").pipe(
    Options.withAlias("t"),
    Options.withDescription("a terminal, also where input or output is none")
  ),
  noTty: Options.boolean("no-tty").pipe(Options.withAlias("T"), Options.withDescription("no terminal, as in a pipe")),
  stdin: Options.boolean("stdin").pipe(
    Options.withAlias("i"),
    Options.withDescription("pass on what is typed, also without a terminal")
  ),
  env: Options.text("env").pipe(
    Options.withAlias("e"),
    Options.withPseudoName("K=V"),
    Options.repeated,
    Options.withDescription("an environment variable of the command")
  )
}

const refuse = (problem: string, nextStep?: string) =>
  new UsageError({ problem, ...(nextStep === undefined ? {} : { nextStep }) })

const unanswered = new RpcError({
  code: Code.INTERNAL,
  reason: "EXIT_CODE_MISSING",
  detail: "the agent did not say how the command ended"
})

/** The first message; then, once the command runs, what it reads and the sizes of its terminal. */
const requests = (start: Request, terminal: boolean, reads: boolean, started: Deferred.Deferred<void>) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    const stdio = yield* Stdio
    const input = stdio.input.pipe(
      Stream.map((bytes): Request => ({ message: { case: "stdin", value: bytes } })),
      Stream.concat(Stream.succeed<Request>({ message: { case: "closeStdin", value: true } }))
    )
    const sizes = Stream.mapEffect(stdio.resized, () =>
      Effect.map(screen.size, (size): Request => ({ message: { case: "resize", value: size } }))
    )
    const later = Stream.merge(reads ? input : Stream.empty, terminal ? sizes : Stream.empty)
    return Stream.concat(Stream.succeed(start), Stream.unwrap(Effect.as(Deferred.await(started), later)))
  })

export const exec = Command.make(
  "exec",
  { target: Target.one, ...options },
  Effect.fn("cli.exec")(function* ({ env, noTty, stdin, target, tty }) {
    const { json, rest = [] } = yield* Globals
    const [program, ...args] = rest
    if (program === undefined) {
      return yield* refuse("exec needs a command after --", `mcp exec ${Target.format(target)} -- sh`)
    }
    if (json) return yield* refuse("exec takes no --json: what the command writes is passed on as it is")
    if (tty && noTty) return yield* refuse("--tty and --no-tty cannot both be")
    // Not repeated here: it may be a secret.
    if (env.some((one) => one.indexOf("=") < 1)) return yield* refuse("--env: expected K=V")
    const screen = yield* Screen
    const stdio = yield* Stdio
    const terminal = tty || (!noTty && stdio.inIsTty && screen.outIsTty)
    const node = yield* locate(target.service)
    const callOptions = yield* acting
    const started = yield* Deferred.make<void>()
    // A terminal without ours is not read: `mcp exec web -- cat log | less` leaves the keys to less.
    const reads = terminal || stdin || !stdio.inIsTty
    const start: Request = {
      message: {
        case: "start",
        value: {
          service: target.service,
          component: target.component ?? "",
          argv: [program, ...args],
          env: [...env],
          tty: terminal,
          stdin: reads,
          ...(terminal ? { size: yield* screen.size } : {})
        }
      }
    }
    let code: number | undefined
    const warnings: Array<string> = []
    // Until now Ctrl-C has ended mcp; from now on it is the command's.
    const begin = Effect.zipRight(terminal ? stdio.raw : Effect.void, Deferred.succeed(started, undefined))
    const take = ({ message }: ExecResponse): Effect.Effect<unknown, never, Scope.Scope> => {
      if (message.case === "started") return begin
      if (message.case === "stdout" || message.case === "stderr") return stdio.write(message.case, message.value)
      if (message.case === "warning") warnings.push(message.value)
      if (message.case === "exitCode") code = message.value
      return Effect.void
    }
    const agents = yield* Agents
    const call = Effect.gen(function* () {
      const client = yield* agents.connect(node)
      const answers = client.exec(yield* requests(start, terminal, reads, started), callOptions)
      yield* Stream.runForEach(answers, take)
      if (code === undefined) yield* unanswered
    })
    yield* Effect.scoped(call).pipe(
      Effect.mapError((error) => (isRpcError(error) ? ofService(target.service)(at(node)(error)) : error))
    )
    // Only now that the terminal is as it was.
    yield* Effect.forEach(warnings, (text) => warn(tame(text)), { discard: true })
    if (code) yield* new ExitWith({ exitCode: code })
  })
).pipe(Command.withDescription("Run a command in a container, with a terminal when there is one"))
