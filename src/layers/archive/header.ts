import { extract } from "tar-stream"
import { type ArchiveHeader, ArchiveUnusable } from "../../services/ServiceData.ts"
import { decodeHeader, loosely, MOST_HEADER_BYTES, whole } from "./entry.ts"
import { unpackError } from "./unpack.ts"
import { HEADER_NAME } from "./walk.ts"
import type { Zstd } from "./zstd.ts"

/** The first entry alone; whoever asks ends the process, which has the rest still to unpack. */
export const readHeader = async (packed: Zstd): Promise<ArchiveHeader> => {
  const tar = extract()
  const feeding = (async () => {
    let fed = 0
    for await (const bytes of packed.output) {
      fed += bytes.length
      // What is not the header is not read, and what is read is little.
      if (tar.destroyed || fed > 2 * MOST_HEADER_BYTES) return
      tar.write(bytes)
    }
    const broken = await packed.ended
    if (broken === undefined) tar.end(undefined)
    else tar.destroy(new ArchiveUnusable({ why: `zstd says: ${broken}` }))
  })().catch((cause) => tar.destroy(cause as Error))
  try {
    for await (const entry of loosely(tar)) {
      const { name, type } = entry.header
      if (name !== HEADER_NAME || type !== "file") break
      return decodeHeader((await whole(entry, MOST_HEADER_BYTES)).toString())
    }
    throw new ArchiveUnusable({ why: "it does not begin with a snapshot's header" })
  } catch (cause) {
    throw unpackError(cause)
  } finally {
    packed.kill()
    tar.destroy(null)
    await feeding
  }
}
