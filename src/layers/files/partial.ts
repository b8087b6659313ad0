import * as fs from "node:fs"
import { PARTIAL_FOLDER } from "../../domain/FilePath.ts"
import type { Folder } from "./Folder.ts"

export const PARTIAL = Buffer.from(PARTIAL_FOLDER)

// The agent alone writes there, so that what it knows of itself is enough: by the folder itself, not by its path.
const users = new Map<string, number>()

/** Whether anybody writes below the root's partial folder at the moment. */
export const partialInUse = (root: Folder) => users.has(keyOf(root))

const keyOf = ({ fd }: Folder) => {
  const { dev, ino } = fs.fstatSync(fd)
  return `${dev}/${ino}`
}

/** The folder of what is not whole yet. It goes with its last user when nothing is left in it. */
export const partialOf = (root: Folder) => {
  const key = keyOf(root)
  users.set(key, (users.get(key) ?? 0) + 1)
  let folder: Folder | undefined
  return {
    get: () => {
      folder ??= root.make(PARTIAL, 0o700, undefined).folder
      return folder
    },
    close: () => {
      folder?.close()
      const left = (users.get(key) ?? 1) - 1
      if (left > 0) {
        users.set(key, left)
        return
      }
      users.delete(key)
      try {
        if (folder !== undefined) fs.rmdirSync(root.at(PARTIAL))
      } catch {}
    }
  }
}
