import * as fs from "node:fs"
import { setImmediate } from "node:timers/promises"
import type { Coverage } from "../../domain/Coverage.ts"
import { type Folder, OFTEN } from "../files/Folder.ts"
import { codeOf, fileError } from "../files/failure.ts"
import { allNamesInside } from "../files/names.ts"
import { PARTIAL } from "../files/partialFolder.ts"
import { databaseOf, isDatabase } from "./databases.ts"
import { beneath, openedHere, ROOT } from "./folders.ts"
import type { Plan, Step } from "./place.ts"
import { notCarried, textOf } from "./walk.ts"

export interface Restore {
  readonly root: Folder
  readonly place: Folder
  readonly plan: Plan
  readonly coverage: Coverage
  readonly step: Step
}

/** A folder that is made once something is to lie in it. */
class Target {
  readonly #get: (make: boolean) => Folder | undefined
  #folder: Folder | undefined
  constructor(get: (make: boolean) => Folder | undefined) {
    this.#get = get
  }
  get(): Folder {
    this.#folder ??= this.#get(true)
    return this.#folder as Folder
  }
  there(): Folder | undefined {
    this.#folder ??= this.#get(false)
    return this.#folder
  }
  below(name: Buffer, step: Step): Target {
    return new Target((make) => {
      if (!make) return this.there()?.stat(name)?.isDirectory() ? this.there()?.open(name) : undefined
      const parent = this.get()
      if (parent.stat(name) === undefined) step(`make ${parent.shown(name)}`)
      return parent.make(name, 0o700, undefined).folder
    })
  }
  async close(): Promise<void> {
    try {
      await this.#folder?.sync()
    } finally {
      this.#folder?.close()
    }
  }
}

interface Leaving {
  /** Where what leaves goes, at the same paths. */
  readonly to: Buffer
  /** What will take its place; whatever is in its way leaves too. */
  readonly incoming: Buffer
  /** Whether a folder goes once it is empty. */
  readonly mayGo: (path: string, target: Target) => boolean
}

export const leave = async (
  { coverage, place, root, step }: Restore,
  { incoming, mayGo, to }: Leaving
): Promise<void> => {
  const inside = allNamesInside(root)
  let seen = 0
  const isOf = (name: Buffer, folder: Folder | undefined) => {
    const database = databaseOf(name)
    if (database === undefined || folder?.stat(database)?.isFile() !== true) return false
    return /\.db$/.test(database.toString()) || isDatabase(folder, database)
  }
  const leaves = async (
    folder: Folder,
    name: Buffer,
    path: string,
    stat: fs.Stats,
    depth: number,
    others: ReadonlyArray<Folder | undefined>
  ) => {
    // What belongs to a database goes with it, and stays with one that stays: its own name came before.
    if (others.some((other) => isOf(name, other))) return true
    if (isOf(name, folder) || !coverage.known(path) || coverage.excluded(path)) return false
    return (await notCarried(folder, name, stat, depth, inside)) === undefined
  }
  const within = async (
    folder: Folder,
    at: Buffer,
    depth: number,
    target: Target,
    coming: Folder | undefined,
    all: boolean
  ): Promise<void> => {
    for (const name of folder.names()) {
      if (depth === 0 && name.equals(PARTIAL)) continue
      seen += 1
      if (seen % OFTEN === 0) await setImmediate()
      const stat = folder.stat(name)
      if (stat === undefined) continue
      const bytes = beneath(at, name)
      const path = bytes.toString()
      const next = coming?.stat(name)
      if (stat.isDirectory()) {
        const inTheWay = all || (next !== undefined && !next.isDirectory())
        if (inTheWay || (textOf(name) !== undefined && !coverage.excluded(path))) {
          await subfolder(folder, name, bytes, depth, target, inTheWay, coming, next)
        }
        continue
      }
      const others = [target.there(), coming]
      if (!all && next === undefined && !(await leaves(folder, name, path, stat, depth, others))) continue
      const there = target.get()
      step(`move ${path}`)
      // What came first is what was there; a later one can only be of somebody who ran meanwhile.
      if (there.stat(name) === undefined) folder.moveTo(name, there)
      else folder.unlink(name)
    }
    await folder.sync()
  }
  const subfolder = async (
    folder: Folder,
    name: Buffer,
    path: Buffer,
    depth: number,
    parent: Target,
    all: boolean,
    coming: Folder | undefined,
    next: fs.Stats | undefined
  ) => {
    const below = all ? folder.open(name) : openedHere(folder, name)
    if (below === undefined) return
    const target = parent.below(name, step)
    const comes = next?.isDirectory() === true ? coming?.open(name) : undefined
    try {
      await within(below, path, depth + 1, target, comes, all)
      if (!all && (comes !== undefined || !mayGo(path.toString("latin1"), target))) return
      step(`remove ${path}`)
      try {
        fs.rmdirSync(folder.at(name))
      } catch (cause) {
        if (all || codeOf(cause) !== "ENOTEMPTY") throw fileError(folder.shown(name), cause)
      }
    } finally {
      comes?.close()
      below.close()
      await target.close()
    }
  }
  const target = new Target((make) => {
    if (!make && place.stat(to) === undefined) return undefined
    return place.make(to, 0o700, undefined).folder
  })
  const coming = place.stat(incoming) === undefined ? undefined : place.open(incoming)
  try {
    await within(root, ROOT, 0, target, coming, false)
  } finally {
    coming?.close()
    await target.close()
    await place.sync()
  }
}

/** What lies in `from` takes its place, and its folders go. */
export const enter = async ({ place, root, step }: Restore, from: Buffer): Promise<void> => {
  let seen = 0
  const within = async (folder: Folder, to: Folder): Promise<void> => {
    for (const name of folder.names()) {
      seen += 1
      if (seen % OFTEN === 0) await setImmediate()
      if (folder.stat(name)?.isDirectory()) {
        const below = folder.open(name)
        let target: Folder | undefined
        try {
          if (to.stat(name) === undefined) step(`make ${to.shown(name)}`)
          target = to.make(name, 0o700, undefined).folder
          await within(below, target)
        } finally {
          below.close()
          target?.close()
        }
        step(`remove ${folder.shown(name)}`)
        fs.rmdirSync(folder.at(name))
      } else {
        step(`move ${to.shown(name)}`)
        folder.moveTo(name, to)
      }
    }
    await to.sync()
  }
  if (place.stat(from) === undefined) return
  const folder = place.open(from)
  try {
    await within(folder, root)
    await folder.sync()
  } finally {
    folder.close()
  }
}
