import * as fs from "node:fs"
import { join, normalize } from "node:path"
import { Effect, Layer } from "effect"
import { FolderRefused, ServiceFolders } from "../services/ServiceFolders.ts"

const codeOf = (cause: unknown) =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : String(cause)

/** Opens one part below its opened parent, making it when missing: no link swapped in during the walk is followed. */
const step = (parent: number, part: string, owner: { uid: number; gid: number }, shown: string): number => {
  const at = `/proc/self/fd/${parent}/${part}`
  const flags = fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW | fs.constants.O_RDONLY
  try {
    fs.mkdirSync(at, 0o755)
    const made = fs.openSync(at, flags)
    fs.fchownSync(made, owner.uid, owner.gid)
    return made
  } catch (cause) {
    if (codeOf(cause) !== "EEXIST") throw new FolderRefused({ path: shown, why: codeOf(cause) })
  }
  try {
    return fs.openSync(at, flags)
  } catch (cause) {
    const code = codeOf(cause)
    throw new FolderRefused({
      path: shown,
      why: code === "ELOOP" ? "is a link" : code === "ENOTDIR" ? "is not a folder, or is a link" : code
    })
  }
}

/** The real file system below `filesRoot`. */
export const layer = (filesRoot: string): Layer.Layer<ServiceFolders> =>
  Layer.succeed(
    ServiceFolders,
    ServiceFolders.of({
      ensure: (service, path, owner) =>
        Effect.try({
          try: () => {
            const root = join(filesRoot, service)
            if (normalize(path) !== path || (path !== root && !path.startsWith(`${root}/`))) {
              throw new FolderRefused({ path, why: `lies outside ${root}` })
            }
            fs.mkdirSync(filesRoot, { recursive: true, mode: 0o755 })
            let at = fs.openSync(filesRoot, fs.constants.O_DIRECTORY | fs.constants.O_RDONLY)
            let shown = filesRoot
            try {
              for (const part of path
                .slice(filesRoot.length)
                .split("/")
                .filter((part) => part !== "")) {
                shown = join(shown, part)
                const next = step(at, part, owner, shown)
                fs.closeSync(at)
                at = next
              }
            } finally {
              fs.closeSync(at)
            }
          },
          catch: (cause) => (cause instanceof FolderRefused ? cause : new FolderRefused({ path, why: codeOf(cause) }))
        })
    })
  )
