import { createInterface } from "node:readline"
import { Writable } from "node:stream"
import { Effect, Layer } from "effect"
import { BrokenPipe, Screen } from "./Screen.ts"

const write = (stream: NodeJS.WriteStream, text: string) =>
  Effect.async<void>((resume) => {
    stream.write(text, (error) => {
      if (error == null) return resume(Effect.void)
      resume(Effect.die("code" in error && error.code === "EPIPE" ? new BrokenPipe() : error))
    })
  })

// Readline needs an output for its line editing; a hidden answer is edited on nothing.
const nowhere = () => new Writable({ write: (_chunk, _encoding, done) => done() })

const ask = (question: string, hidden: boolean) =>
  Effect.async<string>((resume) => {
    const output = hidden ? nowhere() : process.stderr
    const lines = createInterface({ input: process.stdin, output, terminal: true })
    let ended = false
    // Readline's own listeners stay: they take it off the terminal again, and without that it goes on echoing.
    const end = (result: Effect.Effect<string>, newline: boolean) => {
      if (ended) return
      ended = true
      lines.close()
      if (newline) process.stderr.write("\n")
      resume(result)
    }
    // Only now that the terminal no longer echoes by itself: an answer may be pasted, or typed ahead.
    process.stderr.write(question)
    // The cursor stands behind the question; without this the first redraw would wipe it.
    if (!hidden) lines.setPrompt(question)
    lines.once("line", (line) => end(Effect.succeed(line), hidden))
    lines.once("SIGINT", () => end(Effect.interrupt, true))
    lines.once("close", () => end(Effect.succeed(""), true))
    return Effect.sync(() => end(Effect.interrupt, true))
  })

/** Ours to ignore: the write's own callback reports it, and unhandled it would end the process with a stack trace. */
const ignore = () => {}

/** The process's own terminal or pipes. */
export const layer: Layer.Layer<Screen> = Layer.sync(Screen, () => {
  process.stdout.on("error", ignore)
  process.stderr.on("error", ignore)
  const outIsTty = process.stdout.isTTY === true
  const errIsTty = process.stderr.isTTY === true
  return {
    out: (text) => write(process.stdout, text),
    err: (text) => write(process.stderr, text),
    outIsTty,
    errIsTty,
    canAsk: process.stdin.isTTY === true && errIsTty,
    size: Effect.sync(() => {
      const stream = outIsTty ? process.stdout : process.stderr
      return { columns: stream.columns ?? 80, rows: stream.rows ?? 24 }
    }),
    ask: (question, options) => ask(question, options?.hidden === true)
  }
})
