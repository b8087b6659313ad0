import type * as fs from "node:fs"
import { setImmediate } from "node:timers/promises"
import { type Folder, OFTEN } from "./Folder.ts"

/** What is mounted there, or has become a link, holds no names of our files. */
const insideOf = (folder: Folder, name: Uint8Array) => {
  try {
    return folder.open(name)
  } catch {
    return undefined
  }
}

/** How many names each file with several has below a folder. */
const names = async (folder: Folder, found = new Map<number, number>()): Promise<ReadonlyMap<number, number>> => {
  for (const [i, name] of folder.names().entries()) {
    if (i % OFTEN === 0) await setImmediate()
    const stat = folder.stat(name)
    if (stat?.isFile() && stat.nlink > 1) found.set(stat.ino, (found.get(stat.ino) ?? 0) + 1)
    if (!stat?.isDirectory()) continue
    const below = insideOf(folder, name)
    if (below === undefined) continue
    try {
      await names(below, found)
    } finally {
      below.close()
    }
  }
  return found
}

/** Whether a file that has several names has all of them below the root. */
export const allNamesInside = (root: Folder) => {
  let found: Promise<ReadonlyMap<number, number>> | undefined
  return async (stat: fs.Stats) => {
    found ??= names(root)
    return (await found).get(stat.ino) === stat.nlink
  }
}
