import { spawnSync } from "node:child_process"
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Effect, Layer, Stream } from "effect"
import { BrokenPipe } from "./Screen.ts"
import { Stdio } from "./Stdio.ts"

const write = (stream: NodeJS.WriteStream, bytes: Uint8Array) =>
  Effect.async<void>((resume) => {
    stream.write(bytes, (error) => {
      if (error == null) return resume(Effect.void)
      resume(Effect.die("code" in error && error.code === "EPIPE" ? new BrokenPipe() : error))
    })
  })

/** These would end the process at once, and leave the terminal as it is; SIGTERM ends the command. */
const abrupt = ["SIGHUP", "SIGQUIT"] as const
const endTheCommand = () => process.kill(process.pid, "SIGTERM")

const raw = Effect.acquireRelease(
  Effect.sync(() => {
    if (process.stdin.isTTY !== true) return
    process.stdin.setRawMode(true)
    // Node's raw mode still turns each line feed into two characters, which full-screen programs do not expect.
    spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] })
    for (const name of abrupt) process.on(name, endTheCommand)
  }),
  () =>
    Effect.sync(() => {
      if (process.stdin.isTTY !== true) return
      process.stdin.setRawMode(false)
      for (const name of abrupt) process.off(name, endTheCommand)
    })
)

const input = Stream.suspend(() =>
  // What cannot be read any more has ended: a terminal that was closed, say.
  NodeStream.fromReadable<unknown, Uint8Array>(
    () => process.stdin,
    (error) => error,
    { closeOnDone: false }
  )
).pipe(Stream.catchAll(() => Stream.empty))

const resized = Stream.async<void>(
  (emit) => {
    const tell = () => void emit.single(undefined)
    process.stdout.on("resize", tell)
    return Effect.sync(() => process.stdout.off("resize", tell))
  },
  { bufferSize: 1, strategy: "sliding" }
)

export const layer: Layer.Layer<Stdio> = Layer.sync(Stdio, () => ({
  inIsTty: process.stdin.isTTY === true,
  input,
  write: (stream, bytes) => write(process[stream], bytes),
  raw,
  resized
}))
