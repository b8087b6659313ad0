import * as fs from "node:fs"
import { setImmediate } from "node:timers/promises"
import { FileNotFound, FileRefused } from "../../services/FileTransfer.ts"
import { type Folder, OFTEN } from "./Folder.ts"
import { codeOf, fileError } from "./failure.ts"

/** Removes what lies at a name: links are removed and never followed. Answers how many files, folders and links went. */
export const remove = async (parent: Folder, name: Uint8Array, recursive: boolean): Promise<number> => {
  if (parent.stat(name) === undefined) throw new FileNotFound({ path: parent.shown(name) })
  let removed = 0
  const one = async (folder: Folder, name: Uint8Array): Promise<void> => {
    const stat = folder.stat(name)
    if (stat === undefined) return
    if (stat.isDirectory()) {
      if (recursive) await within(folder.open(name))
      try {
        fs.rmdirSync(folder.at(name))
      } catch (cause) {
        if (codeOf(cause) !== "ENOTEMPTY" || recursive) throw fileError(folder.shown(name), cause)
        throw new FileRefused({
          path: folder.shown(name),
          why: "is a folder that is not empty",
          nextStep: "-r removes it with all that lies in it"
        })
      }
    } else folder.unlink(name)
    removed += 1
    if (removed % OFTEN === 0) await setImmediate()
  }
  const within = async (folder: Folder) => {
    try {
      for (const name of folder.names()) await one(folder, name)
    } finally {
      folder.close()
    }
  }
  await one(parent, name)
  await parent.sync()
  return removed
}
