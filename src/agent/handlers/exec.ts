import type { MessageInitShape } from "@bufbuild/protobuf"
import { Effect, Stream } from "effect"
import type { ExecRequest, ExecResponseSchema, ExecStart } from "../../gen/mcp/v1/mcp_pb.ts"
import { Code, RpcError } from "../../grpc/status.ts"
import { type ExecInput, type ExecOutput, exec, execTarget } from "../../programs/exec.ts"
import { authorize } from "../CallerContext.ts"
import { firstOf } from "../firstOf.ts"

const malformed = (reason: string, detail: string) =>
  new RpcError({
    code: Code.INVALID_ARGUMENT,
    reason,
    detail,
    nextStep: "mcp exec <target> -- CMD... sends what is needed"
  })

const started = (request: ExecRequest | undefined) => {
  const message = request?.message
  if (message?.case !== "start") return malformed("START_MISSING", "the first message does not say what to run")
  return Effect.succeed(message.value)
}

const checked = ({ argv, env }: ExecStart) => {
  if (argv.length === 0 || argv[0] === "") return malformed("COMMAND_MISSING", "there is no command to run")
  // What is wrong may hold a secret.
  if (env.some((one) => one.indexOf("=") < 1)) return malformed("ENV_MALFORMED", "an environment variable is not K=V")
  if ([...argv, ...env].some((one) => one.includes("\0"))) {
    return malformed("COMMAND_MALFORMED", "a command cannot hold a NUL")
  }
  return Effect.void
}

const commandOf = ({ argv, env, size, stdin, tty }: ExecStart) => ({
  argv,
  env,
  stdin,
  // A terminal of no size is of no use to programs.
  terminal: tty ? { columns: size?.columns || 80, rows: size?.rows || 24 } : undefined
})

const inputOf = ({ message }: ExecRequest): Effect.Effect<ExecInput, RpcError> => {
  switch (message.case) {
    case "stdin":
      return Effect.succeed({ _tag: "Stdin", bytes: message.value })
    case "closeStdin":
      return Effect.succeed({ _tag: "Close" })
    case "resize":
      return Effect.succeed({ _tag: "Resize", size: message.value })
    default:
      return malformed("INPUT_MALFORMED", "a command is started once, and then has input")
  }
}

const warning = "it did not read all of its input, and podman may have dropped the end of its output"

type Response = MessageInitShape<typeof ExecResponseSchema>

const responses = (output: ExecOutput): ReadonlyArray<Response> => {
  switch (output._tag) {
    case "Started":
      return [{ message: { case: "started", value: true } }]
    case "Bytes":
      return [{ message: { case: output.stream, value: output.bytes } }]
    case "Exit": {
      const exit: Response = { message: { case: "exitCode", value: output.exitCode } }
      return output.cut ? [{ message: { case: "warning", value: warning } }, exit] : [exit]
    }
  }
}

/** The command is never in the audit line: it may hold secrets. */
export const execCall = (requests: Stream.Stream<ExecRequest, RpcError>) =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const { first, rest } = yield* firstOf(requests)
      const start = yield* started(first)
      yield* authorize(start.service, start.component)
      yield* checked(start)
      const { component, container } = yield* execTarget(start.service, start.component || undefined)
      yield* authorize(start.service, component)
      return exec(container, commandOf(start), Stream.mapEffect(rest, inputOf))
    })
  ).pipe(Stream.mapConcat(responses))
