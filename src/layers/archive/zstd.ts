import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { ArchiverUnusable } from "../../services/ServiceData.ts"

export interface Zstd {
  /** Waits until it is taken; nothing more is taken once the process has ended. */
  readonly write: (bytes: Uint8Array) => Promise<void>
  readonly end: () => void
  readonly output: AsyncIterable<Buffer>
  /** What it says when it fails, once it has ended. */
  readonly ended: Promise<string | undefined>
  readonly kill: () => void
}

const arguments_ = {
  // The least that keeps a core busy with packing, as the disk is with reading; the checksum tells any flipped bit.
  pack: ["-q", "-c", "-3", "-T0", "--check"],
  unpack: ["-q", "-d", "-c"]
}

/** Debian's zstd, as a process of its own with pipes: its pace is that of whoever reads. */
export const zstd = (does: keyof typeof arguments_, program = "zstd"): Zstd => {
  const child: ChildProcessWithoutNullStreams = spawn(program, arguments_[does], {
    stdio: "pipe",
    env: { PATH: process.env.PATH }
  })
  const complained: Array<Buffer> = []
  let over = false
  child.stderr.on("data", (bytes: Buffer) => complained.length < 16 && complained.push(bytes))
  child.stdin.on("error", () => {})
  const ended = new Promise<string | undefined>((resolve, reject) => {
    child.once("error", (cause) => {
      over = true
      reject(
        new ArchiverUnusable({
          why: "code" in cause && cause.code === "ENOENT" ? "it is not installed" : cause.message
        })
      )
    })
    child.once("close", (code, signal) => {
      over = true
      const line = Buffer.concat(complained)
        .toString()
        .trim()
        .split("\n")
        .at(-1)
        ?.replace(/^.*\/\*stdin\*\\ ?: /, "")
        .replace(/^.* : (?=\S)/, "")
        .trim()
      resolve(code === 0 ? undefined : line || signal || `exit code ${code}`)
    })
  })
  ended.catch(() => {})
  // One waits at a time. A race with `ended` would remember each of them until then.
  let taken = () => {}
  child.stdin.on("drain", () => taken())
  child.stdin.on("close", () => taken())
  child.once("error", () => taken())
  child.once("close", () => taken())
  return {
    write: async (bytes) => {
      if (over || !child.stdin.writable) return
      if (child.stdin.write(bytes)) return
      await new Promise<void>((resolve) => {
        taken = resolve
      })
    },
    end: () => child.stdin.end(),
    output: child.stdout,
    ended,
    kill: () => {
      if (!over) child.kill("SIGKILL")
      // What nobody reads any more would keep it from being over.
      child.stdin.destroy()
      child.stdout.destroy()
    }
  }
}
