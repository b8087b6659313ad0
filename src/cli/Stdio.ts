import { Context, type Effect, type Scope, type Stream } from "effect"

/** The process's own input and output as bytes, for what another program reads and writes. */
export class Stdio extends Context.Tag("mcp/Stdio")<
  Stdio,
  {
    readonly inIsTty: boolean
    /** Read only when it is asked for; ends with the input. */
    readonly input: Stream.Stream<Uint8Array>
    /** Waits while whoever reads is slower. */
    readonly write: (stream: "stdout" | "stderr", bytes: Uint8Array) => Effect.Effect<void>
    /** Each key as it is pressed, Ctrl-C too; as it was before once the scope closes, whatever ends it. */
    readonly raw: Effect.Effect<void, never, Scope.Scope>
    /** Whenever the terminal has another size. */
    readonly resized: Stream.Stream<void>
  }
>() {}
