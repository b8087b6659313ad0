import { Context, type Effect } from "effect"

/** The reader of our output has gone (`mcp logs web | head`): a defect, since no command goes on after it. */
export class BrokenPipe extends Error {}

/** The terminal, or the pipes where there is none. */
export class Screen extends Context.Tag("mcp/Screen")<
  Screen,
  {
    readonly out: (text: string) => Effect.Effect<void>
    readonly err: (text: string) => Effect.Effect<void>
    readonly outIsTty: boolean
    readonly errIsTty: boolean
    /** Somebody is there to answer a question. */
    readonly canAsk: boolean
    readonly size: Effect.Effect<{ readonly columns: number; readonly rows: number }>
    /** A line from the terminal; the question goes to stderr. */
    readonly ask: (question: string, options?: { readonly hidden?: boolean }) => Effect.Effect<string>
  }
>() {}
