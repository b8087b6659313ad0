import type * as fs from "node:fs"
import { setImmediate } from "node:timers/promises"
import type { Coverage } from "../../domain/Coverage.ts"
import { MAX_DEPTH } from "../../domain/FilePath.ts"
import type { LeftOut } from "../../services/ServiceData.ts"
import type { Folder } from "../files/Folder.ts"
import { linkedElsewhere, special, whyLeftOut } from "../files/failure.ts"
import { PARTIAL } from "../files/partial.ts"
import { targetInside } from "../files/send.ts"
import { databaseOf, isDatabase } from "./databases.ts"

/** The first entry of an archive, and its last. */
export const HEADER_NAME = ".mcp-snapshot.json"
export const SUMS_NAME = ".mcp-snapshot.sha256"

interface At {
  readonly path: string
  readonly stat: fs.Stats
}

export type Item =
  | ({ readonly _tag: "Folder" } & At)
  /** Where it lies stays open until the next item. */
  | ({ readonly _tag: "File"; readonly folder: Folder; readonly name: Buffer } & At)
  | ({ readonly _tag: "Link"; readonly target: string } & At)
  | ({ readonly _tag: "LeftOut" } & LeftOut)

export interface WalkOptions {
  readonly coverage: Coverage
  /** Each folder, or only those on the way to a file. */
  readonly everyFolder: boolean
  readonly allNamesInside: (stat: fs.Stats) => boolean
}

/** A name as text, when an archive can carry it. */
export const textOf = (name: Buffer): string | undefined => {
  const text = name.toString("utf8")
  return Buffer.from(text).equals(name) && !text.includes("\\") ? text : undefined
}

/** How a file or link lies in the way of being kept; undefined when an archive carries it. */
export const notCarried = (
  folder: Folder,
  name: Buffer,
  stat: fs.Stats,
  depth: number,
  inside: WalkOptions["allNamesInside"]
): string | undefined => {
  const shown = folder.shown(name)
  const text = textOf(name)
  if (text === undefined) return "has a name that is not plain UTF-8 text without backslashes"
  if (depth === 0 && (text === HEADER_NAME || text === SUMS_NAME)) return "has a name that an archive uses itself"
  if (stat.isSymbolicLink()) {
    try {
      return textOf(targetInside(folder, name, depth)) === undefined
        ? "leads to a name that is not plain text"
        : undefined
    } catch (cause) {
      return whyLeftOut(shown, cause) ?? "went away"
    }
  }
  if (!stat.isFile()) return special(shown).why
  return stat.nlink > 1 && !inside(stat) ? linkedElsewhere(shown).why : undefined
}

const OFTEN = 256

/** What of a service's folder an archive is to hold, in the order of names. */
export async function* walk(root: Folder, options: WalkOptions): AsyncGenerator<Item> {
  const { coverage } = options
  let seen = 0
  // Folders on the way, told when something in them is.
  const way: Array<{ readonly item: Item; told: boolean }> = []
  function* folders(): Generator<Item> {
    for (const one of way) {
      if (one.told) continue
      one.told = true
      yield one.item
    }
  }

  async function* within(folder: Folder, at: string, depth: number): AsyncGenerator<Item> {
    for (const name of folder.names()) {
      if (depth === 0 && name.equals(PARTIAL)) continue
      seen += 1
      // Others are served meanwhile.
      if (seen % OFTEN === 0) await setImmediate()
      const path = at === "" ? name.toString() : `${at}/${name.toString()}`
      if (coverage.excluded(path)) continue
      try {
        const stat = folder.stat(name)
        if (stat === undefined) continue
        if (stat.isDirectory()) yield* subfolder(folder, name, path, stat, depth)
        else if (coverage.known(path)) yield* one(folder, name, path, stat, depth)
      } catch (cause) {
        const why = whyLeftOut(folder.shown(name), cause)
        if (why !== undefined) yield { _tag: "LeftOut", path: folder.shown(name), why }
      }
    }
  }

  async function* subfolder(
    folder: Folder,
    name: Buffer,
    path: string,
    stat: fs.Stats,
    depth: number
  ): AsyncGenerator<Item> {
    const leftOut = (why: string): Item => ({ _tag: "LeftOut", path: folder.shown(name), why })
    if (textOf(name) === undefined) return yield leftOut("has a name that is not plain UTF-8 text without backslashes")
    if (depth + 2 > MAX_DEPTH) return yield leftOut(`lies more than ${MAX_DEPTH} folders deep`)
    const below = folder.open(name)
    try {
      way.push({ item: { _tag: "Folder", path, stat }, told: false })
      if (options.everyFolder) yield* folders()
      yield* within(below, path, depth + 1)
    } finally {
      way.pop()
      below.close()
    }
  }

  async function* one(folder: Folder, name: Buffer, path: string, stat: fs.Stats, depth: number): AsyncGenerator<Item> {
    const why = notCarried(folder, name, stat, depth, options.allNamesInside)
    if (why !== undefined) return yield { _tag: "LeftOut", path: folder.shown(name), why } satisfies Item
    // A copied database needs none.
    const database = databaseOf(name)
    if (database !== undefined && isDatabase(folder, database)) return
    yield* folders()
    if (stat.isFile()) yield { _tag: "File", path, stat, folder, name } satisfies Item
    else yield { _tag: "Link", path, stat, target: targetInside(folder, name, depth).toString() } satisfies Item
  }

  yield* within(root, "", 0)
}
