import type { Duplex } from "node:stream"
import { HttpClientRequest } from "@effect/platform"
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Chunk, Effect, Schedule, Schema, Stream } from "effect"
import type { Attached, AttachedCommand, AttachedOutput, TerminalSize } from "../../services/ContainerRuntime.ts"
import { CommandCutOff, CommandNotRun, RuntimeUnavailable } from "../../services/RuntimeError.ts"
import { type Api, asUnavailable, mapRefusal, path } from "./api.ts"
import { demultiplex, type Frame } from "./frames.ts"
import { endGroup } from "./processes.ts"
import { plain, tellsOfNoRun, withoutUnread } from "./words.ts"

const { get, post } = HttpClientRequest

const Created = Schema.Struct({ Id: Schema.String })
const Session = Schema.Struct({
  Running: Schema.Boolean,
  Pid: Schema.Int,
  ExitCode: Schema.Int,
  ContainerID: Schema.String
})

/** Neighbouring frames of one stream as one: podman makes a frame of each 8 KiB. */
const joined = (frames: Chunk.Chunk<Frame>): Chunk.Chunk<Frame> => {
  const runs: Array<{ readonly stream: Frame["stream"]; readonly payloads: Array<Buffer> }> = []
  for (const { payload, stream } of frames) {
    const last = runs.at(-1)
    if (last?.stream === stream) last.payloads.push(payload)
    else runs.push({ stream, payloads: [payload] })
  }
  return Chunk.fromIterable(runs.map(({ payloads, stream }) => ({ stream, payload: Buffer.concat(payloads) })))
}

const HELD = 8 * 1024

/**
 * Of a command that cannot be run podman tells in place of its output, and then with an exit code. So what looks like
 * that is held back until the exit code shows whether it is.
 */
class FirstWords {
  #held: Array<Frame> | undefined = []
  #size = 0

  push(frame: Frame): ReadonlyArray<Frame> {
    const held = this.#held
    if (held === undefined) return [frame]
    held.push(frame)
    this.#size += frame.payload.length
    if (this.#size <= HELD && tellsOfNoRun(this.text)) return []
    this.#held = undefined
    return held
  }

  get held(): ReadonlyArray<Frame> {
    return this.#held ?? []
  }

  get text(): string {
    return Buffer.concat(this.held.map(({ payload }) => payload)).toString("utf8")
  }
}

const bytesOf = ({ payload, stream }: Frame): AttachedOutput => ({ _tag: "Bytes", stream, bytes: payload })

/** Runs a command with its connection taken over from podman's HTTP server. */
export const attach = (api: Api, container: string, command: AttachedCommand) =>
  Effect.gen(function* () {
    const { argv, env, stdin, terminal } = command
    const Tty = terminal !== undefined
    const body = { Cmd: argv, Env: env, AttachStdin: stdin, AttachStdout: true, AttachStderr: true, Tty }
    const request = HttpClientRequest.bodyUnsafeJson(post(path`/containers/${container}/exec`), body)
    const { Id } = yield* api.json({ operation: "exec", request, within: "4 seconds" }, Created)
    const session = api.json({ operation: "exec", request: get(path`/exec/${Id}/json`), within: "4 seconds" }, Session)
    let ended = false

    // podman lets a command run on whose caller has gone (seen on 4.3): so its processes are ended, as a terminal does it.
    const end = Effect.gen(function* () {
      if (ended) return
      const { ContainerID, Pid, Running } = yield* session
      if (Running) yield* endGroup(Pid, ContainerID)
      ended = true
    }).pipe(
      Effect.retry({
        times: 10,
        schedule: Schedule.spaced("250 millis"),
        while: (error) => error._tag === "RuntimeUnavailable"
      }),
      Effect.catchTag("Refusal", () => Effect.void),
      Effect.catchAll(({ message }) =>
        Effect.logWarning("a command may run on in a container").pipe(Effect.annotateLogs({ container, why: message }))
      ),
      // A finalizer cannot be interrupted, and so not be timed out, unless it says so.
      Effect.interruptible,
      Effect.timeoutOption("10 seconds")
    )

    // Asked for in one piece with the promise to end it.
    const socket = yield* Effect.acquireRelease(
      Effect.zipRight(
        Effect.addFinalizer(() => end),
        api.hijack("exec", path`/exec/${Id}/start`, {
          Detach: false,
          Tty,
          ...(terminal === undefined ? {} : { h: terminal.rows, w: terminal.columns })
        })
      ),
      // Before it is closed, or the command would take that for the end of its input and its work for done.
      (socket) => Effect.zipRight(end, closed(socket))
    )

    const exitCode = session.pipe(
      Effect.filterOrFail(
        ({ Running }) => !Running,
        () => new RuntimeUnavailable({ operation: "exec", why: "podman does not know how the command ended" })
      ),
      // The output may end a moment before podman has noted the exit.
      Effect.retry({
        schedule: Schedule.spaced("50 millis"),
        times: 40,
        while: (e) => e._tag === "RuntimeUnavailable"
      }),
      Effect.map(({ ExitCode }) => ExitCode),
      mapRefusal((error) =>
        error.status === 404 ? new CommandCutOff({ why: "its container was removed" }) : asUnavailable(error)
      )
    )

    const output = Stream.suspend(() => {
      const first = new FirstWords()
      // podman also closes the connection then, and drops what it has not sent.
      let cut = false
      const raw = NodeStream.fromReadable<unknown, Uint8Array>(
        () => socket,
        (error) => error,
        { closeOnDone: false }
      ).pipe(
        Stream.catchAll(() => {
          cut = true
          return Stream.empty
        })
      )
      const own = (frame: Frame): ReadonlyArray<Frame> => {
        const { cut: unread, output } = withoutUnread(frame.payload)
        cut ||= unread
        return output.length === 0 ? [] : [{ ...frame, payload: output }]
      }
      const frames = Tty
        ? Stream.map(raw, (bytes): Frame => ({ stream: "stdout", payload: Buffer.from(bytes) }))
        : demultiplex(raw)
      const last = Effect.gen(function* () {
        const code = yield* exitCode
        ended = true
        if (first.held.length > 0 && (code === 126 || code === 127)) {
          return yield* new CommandNotRun({ exitCode: code, why: plain(first.text) })
        }
        const exit: AttachedOutput = { _tag: "Exit", exitCode: code, cut }
        return [...first.held.map(bytesOf), exit]
      })
      return frames.pipe(
        Stream.mapConcat(own),
        Stream.mapChunks(joined),
        Stream.mapConcat((frame) => first.push(frame).map(bytesOf)),
        Stream.concat(Stream.unwrap(Effect.map(last, (rest) => Stream.fromIterable<AttachedOutput>(rest))))
      )
    })

    const write = (bytes: Uint8Array) =>
      Effect.async<void>((resume) => {
        if (socket.destroyed || socket.writableEnded) return resume(Effect.void)
        socket.write(bytes, () => resume(Effect.void))
      })
    const resize = ({ columns, rows }: TerminalSize) => {
      if (!Tty) return Effect.void
      const request = HttpClientRequest.setUrlParams(post(path`/exec/${Id}/resize`), { h: rows, w: columns })
      // One that comes too late is no error.
      return Effect.ignore(api.text({ operation: "exec", request, within: "4 seconds" }))
    }
    // The end of a connection is not what a program on a terminal reads as the end of its input.
    const closeInput = Tty ? write(Buffer.from([4])) : Effect.sync(() => socket.end())
    return { output, write, closeInput, resize } satisfies Attached
  })

const closed = (socket: Duplex) => Effect.sync(() => socket.destroy())
