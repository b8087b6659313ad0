import * as fs from "node:fs"
import { uptime } from "node:os"
import { Effect, Layer } from "effect"
import { KernelLog } from "../services/KernelLog.ts"

/** More than any kernel's ring buffer holds. */
const mostRecords = 100_000
/** The clock may have been set since the kernel noted a record. */
const toleranceMs = 2_000

const codeOf = (error: unknown) => (error instanceof Error && "code" in error ? error.code : undefined)

/** `priority,sequence,microseconds since boot,flags;text`; undefined for a record that tells of no kill for memory. */
export const oomRecord = (record: string): { readonly sinceBootMs: number; readonly text: string } | undefined => {
  const [head = "", ...text] = record.split(";")
  const micros = Number(head.split(",")[2])
  const said = text.join(";")
  if (!Number.isFinite(micros) || !/oom-kill:|Memory cgroup out of memory/.test(said)) return undefined
  return { sinceBootMs: micros / 1000, text: said }
}

/** Each read answers one record; EAGAIN is the end of what is there, EPIPE a record that was overwritten meanwhile. */
const records = (path: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  const buffer = Buffer.alloc(8192)
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
  try {
    for (let i = 0; i < mostRecords; i++) {
      try {
        const length = fs.readSync(fd, buffer, 0, buffer.length, null)
        if (length === 0) break
        found.push(buffer.toString("utf8", 0, length))
      } catch (error) {
        if (codeOf(error) !== "EPIPE") break
      }
    }
  } finally {
    fs.closeSync(fd)
  }
  return found
}

/** The kernel's log as the device shows it (Documentation/ABI/testing/dev-kmsg); the file's path is for tests. */
export const layerFrom = (path: string): Layer.Layer<KernelLog> =>
  Layer.succeed(KernelLog, {
    oomKilled: (containerId, since) =>
      Effect.try(() => {
        const bootedAt = Date.now() - uptime() * 1000
        return records(path).some((record) => {
          const oom = oomRecord(record)
          return oom?.text.includes(containerId) && bootedAt + oom.sinceBootMs >= since - toleranceMs
        })
      }).pipe(Effect.option)
  })

export const layer: Layer.Layer<KernelLog> = layerFrom("/dev/kmsg")
