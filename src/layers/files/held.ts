import * as fs from "node:fs"
import type { Held } from "../../domain/FileParts.ts"
import { hashed } from "./bytes.ts"
import type { Folder } from "./Folder.ts"

export const nothingHeld: Held = { bytes: 0, sha256: new Uint8Array() }

/** What is there of a file of `most` bytes. */
export const heldIn = async (folder: Folder, name: Uint8Array, most = Number.POSITIVE_INFINITY): Promise<Held> => {
  if (!folder.stat(name)?.isFile()) return nothingHeld
  const fd = folder.openFile(name)
  try {
    const stat = fs.fstatSync(fd)
    const bytes = stat.isFile() ? Math.min(stat.size, most) : 0
    const hash = bytes === 0 ? undefined : await hashed(fd, bytes)
    return hash === undefined ? nothingHeld : { bytes, sha256: hash.digest() }
  } finally {
    fs.closeSync(fd)
  }
}
