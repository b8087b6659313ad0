import type * as fs from "node:fs"
import type { Folder } from "./Folder.ts"

/** How many names each file with several has below a folder. */
const names = (folder: Folder, found = new Map<number, number>()): ReadonlyMap<number, number> => {
  for (const name of folder.names()) {
    const stat = folder.stat(name)
    if (stat?.isFile() && stat.nlink > 1) found.set(stat.ino, (found.get(stat.ino) ?? 0) + 1)
    if (!stat?.isDirectory()) continue
    const below = folder.open(name)
    try {
      names(below, found)
    } finally {
      below.close()
    }
  }
  return found
}

/** Whether a file that has several names has all of them below the root. */
export const allNamesInside = (root: Folder) => {
  let found: ReadonlyMap<number, number> | undefined
  return (stat: fs.Stats) => {
    found ??= names(root)
    return found.get(stat.ino) === stat.nlink
  }
}
