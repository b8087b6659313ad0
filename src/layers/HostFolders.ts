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

interface Owner {
  readonly uid: number
  readonly gid: number
}

/**
 * Opens one part below its opened parent: no link swapped in during the walk is followed. What is missing is made for
 * the owner; without one the answer is undefined.
 */
const step = (
  parent: number,
  part: string,
  owner: Owner | undefined,
  shown: string,
  last: boolean
): number | undefined => {
  const at = `/proc/self/fd/${parent}/${part}`
  if (last && isFile(at))
    return fs.openSync(at, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK)
  const flags = fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW | fs.constants.O_RDONLY
  if (owner === undefined && fs.lstatSync(at, { throwIfNoEntry: false }) === undefined) return undefined
  try {
    if (owner === undefined) return fs.openSync(at, flags)
    fs.mkdirSync(at, 0o755)
    const made = fs.openSync(at, flags)
    fs.fchownSync(made, owner.uid, owner.gid)
    return made
  } catch (cause) {
    if (owner !== undefined && codeOf(cause) !== "EEXIST") throw new FolderRefused({ path: shown, why: codeOf(cause) })
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

/** Walks from the files root down to `path`, making what is missing when there is an owner for it. */
const walk = (filesRoot: string, service: string, path: string, owner: Owner | undefined): void => {
  const root = join(filesRoot, service)
  if (normalize(path) !== path || (path !== root && !path.startsWith(`${root}/`))) {
    throw new FolderRefused({ path, why: `lies outside ${root}` })
  }
  if (owner) fs.mkdirSync(filesRoot, { recursive: true, mode: 0o755 })
  else if (!fs.existsSync(filesRoot)) return
  let at = fs.openSync(filesRoot, fs.constants.O_DIRECTORY | fs.constants.O_RDONLY)
  let shown = filesRoot
  try {
    const parts = path.slice(filesRoot.length).split("/").filter(Boolean)
    for (const [i, part] of parts.entries()) {
      shown = join(shown, part)
      // The service's own folder is one; only what lies in it may be a file.
      const next = step(at, part, owner, shown, i > 0 && i === parts.length - 1)
      if (next === undefined) return
      fs.closeSync(at)
      at = next
    }
  } finally {
    fs.closeSync(at)
  }
}

/** The real file system below `filesRoot`. */
export const layer = (filesRoot: string): Layer.Layer<ServiceFolders> => {
  const walked = (service: string, path: string, owner: Owner | undefined) =>
    Effect.try({
      try: () => walk(filesRoot, service, path, owner),
      catch: (cause) => (cause instanceof FolderRefused ? cause : new FolderRefused({ path, why: codeOf(cause) }))
    })
  return Layer.succeed(
    ServiceFolders,
    ServiceFolders.of({
      realPath: (path) => Effect.sync(() => realPath(path)),
      check: (service, path) => walked(service, path, undefined),
      ensure: walked,
      stat: (path) =>
        Effect.try(() => fs.statSync(path)).pipe(
          Effect.map(({ gid, mode, uid }) => ({ uid, gid, mode: mode & 0o777 })),
          Effect.option
        )
    })
  )
}
