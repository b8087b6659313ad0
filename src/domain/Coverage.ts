import { glob } from "./Glob.ts"

export interface Covered {
  /** `all`: every file; `known`: *.toml, *.db and *.pem alone. */
  readonly covers: "all" | "known"
  readonly excludes: ReadonlyArray<string>
}

/** What of a service's files an archive holds, and a restore replaces. Paths are below the service's folder. */
export interface Coverage {
  /** Of a file or folder itself; a folder that is left out is so with all that lies in it. */
  readonly excluded: (path: string) => boolean
  /** By its name: whether a file is meant that is not excluded. */
  readonly known: (path: string) => boolean
  /** A file's or link's path as a whole, the folders on the way included. */
  readonly holds: (path: string) => boolean
}

const KNOWN = /\.(toml|db|pem)$/
const baseOf = (path: string) => path.slice(path.lastIndexOf("/") + 1)

export const coverage = ({ covers, excludes }: Covered): Coverage => {
  const patterns = excludes.map((text) => glob(text.replace(/^(\.?\/)+/, "").replace(/\/+$/, "")))
  const excluded = (path: string) => patterns.some((fits) => fits(path) || fits(baseOf(path)))
  const known = (path: string) => covers === "all" || KNOWN.test(path)
  const withParents = (path: string) => {
    const parts = path.split("/")
    return parts.map((_, i) => parts.slice(0, i + 1).join("/"))
  }
  return { excluded, known, holds: (path) => known(path) && !withParents(path).some(excluded) }
}
