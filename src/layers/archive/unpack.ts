import { once } from "node:events"
import { extract } from "tar-stream"
import { ArchiverUnusable, type ArchiveTotals, ArchiveUnusable } from "../../services/ServiceData.ts"
import type { Folder } from "../files/Folder.ts"
import { codeOf, fileError } from "../files/failure.ts"
import type { SqliteOptions } from "./databases.ts"
import { loosely, unusable } from "./entry.ts"
import { NEW } from "./place.ts"
import { type Unpacked, Unpacker } from "./Unpacker.ts"
import type { Zstd } from "./zstd.ts"

/** All of an archive, verified, in the place's folder of what is new. Answers what has come meanwhile. */
export async function* unpack(
  place: Folder,
  packed: Zstd,
  sqlite: SqliteOptions,
  signal: AbortSignal
): AsyncGenerator<ArchiveTotals, Unpacked> {
  const data = place.make(NEW, 0o700, undefined).folder
  const unpacker = new Unpacker(place, data.asRoot())
  const tar = extract()
  const over = new AbortController()
  const stop = () => {
    packed.kill()
    over.abort()
    tar.destroy(new Error("interrupted"))
  }
  // Told of by its iterator too.
  tar.on("error", () => over.abort())
  signal.addEventListener("abort", stop)
  let broken: string | undefined
  const feeding = (async () => {
    for await (const bytes of packed.output) {
      if (tar.write(bytes)) continue
      // Over is over, whether it says so or not.
      await once(tar, "drain", { signal: over.signal }).catch(() => {})
      if (over.signal.aborted || tar.destroying) return
    }
    broken = await packed.ended
    if (broken === undefined) tar.end(undefined)
    else tar.destroy(new Error(broken))
  })().catch((cause) => {
    tar.destroy(cause as Error)
    return cause as unknown
  })
  try {
    try {
      for await (const entry of loosely(tar)) yield* unpacker.take(entry)
    } catch (cause) {
      signal.throwIfAborted()
      over.abort()
      const failed = broken === undefined && tar.destroying ? await feeding : undefined
      if (failed instanceof ArchiverUnusable) throw failed
      if (broken !== undefined) throw unusable(`zstd says: ${broken}`)
      throw cause
    }
    signal.throwIfAborted()
    const failed = await feeding
    if (failed !== undefined) throw failed
    return await unpacker.finish(sqlite, signal)
  } catch (cause) {
    throw unpackError(cause)
  } finally {
    signal.removeEventListener("abort", stop)
    stop()
    await feeding
    await unpacker.close()
    data.close()
  }
}

/** What tar and our own rules say of an archive; a disk that is full or broken is another matter. */
export const unpackError = (cause: unknown) => {
  if (cause instanceof ArchiveUnusable || cause instanceof ArchiverUnusable) return cause
  const error = fileError("the snapshot", cause)
  if (error._tag === "FilesDiskFull") return error
  if (error._tag !== "FileUnusable") return unusable(error.message.replace(/; what was there before is as it was$/, ""))
  return codeOf(cause) === "" && error !== cause ? unusable(`it is damaged: ${(cause as Error).message}`) : error
}
