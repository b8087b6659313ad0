import { isAbsolute, join, relative } from "node:path/posix"
import { resolvePath } from "./files.ts"
import type { Node } from "./Node.ts"

export interface Folder {
  /** The path on the node. */
  readonly source: string
  /** Below the service's own folder; empty when it is that. */
  readonly below: string
  /** Where it is on the workstation; undefined for what compose kept itself. */
  readonly local: string | undefined
}

export interface Folders {
  readonly bind: (node: Node, path: string) => Folder
  readonly named: (name: string) => Folder
}

const within = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`)

/** Gives what lies beside the compose file, and volumes that compose keeps, a folder of the service each. */
export const makeFolders = (service: string, project: string): Folders => {
  const root = `/srv/${service}`
  const named = new Map<string, Folder>()
  const binds = new Set<string>()
  const folder = (below: string, local: string | undefined): Folder => ({
    source: below === "" ? root : `${root}/${below}`,
    ...{ below, local }
  })
  return {
    bind: (node, path) => {
      const local = path.startsWith("~") ? path : resolvePath(node.base, path)
      const own = isAbsolute(local) === isAbsolute(project) ? relative(project, local) : local
      const below = (path.startsWith("~") ? path.slice(1) : own)
        .split("/")
        .filter((part) => part !== ".." && part !== "." && part !== "")
        .join("/")
      binds.add(below)
      return folder(below, local)
    },
    named: (name) => {
      const known = named.get(name)
      if (known) return known
      const plain = name.replace(/[^A-Za-z0-9_.-]/g, "-").replace(/^[^A-Za-z0-9]+/, "") || "volume"
      const taken = (below: string) =>
        [...binds].some((bind) => bind !== "" && (within(bind, below) || within(below, bind))) ||
        [...named.values()].some((other) => other.below === below)
      let below = plain
      for (let n = 1; taken(below); n++) below = n === 1 ? join(`${plain}-volume`) : `${plain}-volume-${n}`
      const made = folder(below, undefined)
      named.set(name, made)
      return made
    }
  }
}
