import * as fs from "node:fs"
import { dirname, join, normalize } from "node:path"
import { Effect, Layer } from "effect"
import { FolderRefused, ServiceFolders } from "../services/ServiceFolders.ts"

const codeOf = (cause: unknown) =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : String(cause)

const isFile = (at: string) => fs.lstatSync(at, { throwIfNoEntry: false })?.isFile() ?? false

const realPath = (path: string): string => {
  for (let at = path; ; at = dirname(at)) {
    try {
      return join(fs.realpathSync(at), path.slice(at.length))
    } catch {
      if (at === "/") return path
    }
  }
}

/** Opens one part below its opened parent, making it when missing: no link swapped in during the walk is followed. */
const step = (
  parent: number,
  part: string,
  owner: { uid: number; gid: number },
  shown: string,
  last: boolean
): number => {
  const at = `/proc/self/fd/${parent}/${part}`
  if (last && isFile(at))
    return fs.openSync(at, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK)
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
      realPath: (path) => Effect.sync(() => realPath(path)),
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
              const parts = path.slice(filesRoot.length).split("/").filter(Boolean)
              for (const [i, part] of parts.entries()) {
                shown = join(shown, part)
                // The service's own folder is one; only what lies in it may be a file.
                const next = step(at, part, owner, shown, i > 0 && i === parts.length - 1)
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
