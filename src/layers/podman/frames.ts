import { Stream } from "effect"
import type { LogLine } from "../../services/ContainerRuntime.ts"

/** Longer lines are cut, so that a container cannot fill the agent's memory by leaving out line ends. */
export const maxLine = 64 * 1024

export interface Frame {
  readonly stream: "stdout" | "stderr"
  readonly payload: Buffer
}

/** A cut inside a character would show as a replacement character. */
const decode = (bytes: Buffer): string => {
  let end = Math.min(bytes.length, maxLine)
  if (end < bytes.length) while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.toString("utf8", 0, end)
}

/** Puts the frames of docker's multiplexed format together again: kind, three zeros, length, payload. */
class Frames {
  private rest: Buffer = Buffer.alloc(0)
  private parts: Array<Buffer> = []
  private held = 0

  push(chunk: Uint8Array): ReadonlyArray<Frame> {
    // Joined only when a frame can be complete, or a big frame in small chunks would be copied each time.
    this.parts.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    this.held += chunk.byteLength
    if (this.rest.length >= 8 && this.rest.length + this.held < 8 + this.rest.readUInt32BE(4)) return []
    let bytes = Buffer.concat([this.rest, ...this.parts])
    this.parts = []
    this.held = 0
    const frames: Array<Frame> = []
    while (bytes.length >= 8) {
      const length = bytes.readUInt32BE(4)
      if (bytes.length < 8 + length) break
      frames.push({ stream: bytes[0] === 2 ? "stderr" : "stdout", payload: bytes.subarray(8, 8 + length) })
      bytes = bytes.subarray(8 + length)
    }
    this.rest = bytes
    return frames
  }
}

/** The frames in a byte stream, wherever its chunks begin and end. */
export const demultiplex = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Frame, E, R> =>
  Stream.suspend(() => {
    const frames = new Frames()
    return Stream.mapConcat(bytes, (chunk) => frames.push(chunk))
  })

interface Unfinished {
  at: number | undefined
  parts: Array<Buffer>
  size: number
}

const stamp = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) /

/**
 * podman sends one frame for each record of the log, each with its time in front. A record without a line end, as a
 * long line or `printf` makes them, is continued by the next record of the same stream.
 */
class Lines {
  private readonly unfinished: Record<Frame["stream"], Unfinished | undefined> = {
    stdout: undefined,
    stderr: undefined
  }

  push({ stream, payload }: Frame): ReadonlyArray<LogLine> {
    const match = stamp.exec(payload.toString("latin1", 0, 48))
    const text = match ? payload.subarray(match[0].length) : payload
    const line = this.unfinished[stream] ?? { at: match?.[1] ? Date.parse(match[1]) : undefined, parts: [], size: 0 }
    const ended = text.at(-1) === 0x0a
    const content = ended ? text.subarray(0, -1) : text
    if (line.size <= maxLine) {
      line.parts.push(content)
      line.size += content.length
    }
    this.unfinished[stream] = ended ? undefined : line
    return ended ? [{ stream, at: line.at, line: decode(Buffer.concat(line.parts)) }] : []
  }

  end(): ReadonlyArray<LogLine> {
    return (["stdout", "stderr"] as const).flatMap((stream) => {
      const line = this.unfinished[stream]
      return line ? [{ stream, at: line.at, line: decode(Buffer.concat(line.parts)) }] : []
    })
  }
}

/** A log, asked for with `timestamps=true`, as lines. */
export const logLines = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<LogLine, E, R> =>
  Stream.suspend(() => {
    const lines = new Lines()
    return demultiplex(bytes).pipe(
      Stream.mapConcat((frame) => lines.push(frame)),
      Stream.concat(Stream.suspend(() => Stream.fromIterable(lines.end())))
    )
  })

/** What a command wrote, both streams in the order of arrival, cut at 64 KiB. The rest is read and dropped. */
export const output = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>) =>
  Stream.runFold(demultiplex(bytes), Buffer.alloc(0) as Buffer, (all, { payload }) =>
    all.length > maxLine ? all : Buffer.concat([all, payload])
  )

export { decode as decodeCut }
