import * as fs from "node:fs"
import { setImmediate } from "node:timers/promises"
import { type Coverage, coverage } from "../../domain/Coverage.ts"
import { FileNotFound, FileRefused, PathOutsideRoot } from "../../services/FileTransfer.ts"
import { type Folder, holding } from "../files/Folder.ts"
import { codeOf, fileError } from "../files/failure.ts"
import { allNamesInside } from "../files/names.ts"
import { PARTIAL } from "../files/partial.ts"
import { databaseOf, isDatabase } from "./databases.ts"
import {
  type FolderFacts,
  NEW,
  OLD,
  type Phase,
  type Plan,
  phaseOf,
  readBefore,
  readPlan,
  setPhase,
  writeBefore
} from "./place.ts"
import { notCarried, textOf } from "./walk.ts"

/*
 * Each phase goes over the trees as they are, and moves what is not where it belongs yet. So each can be cut anywhere and
 * said again. A phase is over, and on the disk, before the next one begins.
 */

/** Told before each change, so that a test can cut there. */
export type Step = (what: string) => void

interface Restore {
  readonly root: Folder
  readonly place: Folder
  readonly plan: Plan
  readonly coverage: Coverage
  readonly step: Step
}

const OFTEN = 256

const ROOT = Buffer.alloc(0)
const factsOf = (path: Buffer, stat: fs.Stats): FolderFacts => ({
  path: path.toString("latin1"),
  mode: stat.mode & 0o777,
  uid: stat.uid,
  gid: stat.gid,
  modifiedMs: stat.mtimeMs
})

const beneath = (at: Buffer, name: Buffer) => (at.length === 0 ? name : Buffer.concat([at, Buffer.from("/"), name]))

/** All folders of a tree, each before those in it. Other file systems are not looked into. */
const foldersOf = async (root: Folder): Promise<ReadonlyArray<FolderFacts>> => {
  const found: Array<FolderFacts> = [factsOf(ROOT, fs.fstatSync(root.fd))]
  const within = async (folder: Folder, at: Buffer): Promise<void> => {
    await setImmediate()
    for (const name of folder.names()) {
      if ((at.length === 0 && name.equals(PARTIAL)) || !folder.stat(name)?.isDirectory()) continue
      const below = openedHere(folder, name)
      if (below === undefined) continue
      try {
        const path = beneath(at, name)
        found.push(factsOf(path, fs.fstatSync(below.fd)))
        await within(below, path)
      } finally {
        below.close()
      }
    }
  }
  await within(root, ROOT)
  return found
}

/** Undefined for a mount. */
const openedHere = (folder: Folder, name: Buffer): Folder | undefined => {
  try {
    return folder.open(name)
  } catch (cause) {
    if (cause instanceof PathOutsideRoot) return undefined
    throw cause
  }
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

const leave = async ({ coverage, place, root, step }: Restore, { incoming, mayGo, to }: Leaving): Promise<void> => {
  const inside = allNamesInside(root)
  let seen = 0
  const isOf = (name: Buffer, folder: Folder | undefined) => {
    const database = databaseOf(name)
    if (database === undefined || folder?.stat(database)?.isFile() !== true) return false
    return /\.db$/.test(database.toString()) || isDatabase(folder, database)
  }
  const leaves = (
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
    return notCarried(folder, name, stat, depth, inside) === undefined
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
      if (!all && next === undefined && !leaves(folder, name, path, stat, depth, [target.there(), coming])) continue
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
const enter = async ({ place, root, step }: Restore, from: Buffer): Promise<void> => {
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

/** The deepest first, since what is done in a folder changes its time. */
const putRight = async (
  root: Folder,
  folders: ReadonlyArray<FolderFacts>,
  make: boolean,
  step: Step
): Promise<void> => {
  const depth = ({ path }: FolderFacts) => (path === "" ? 0 : path.split("/").length)
  const set = async ({ gid, mode, modifiedMs, path, uid }: FolderFacts, made: boolean) => {
    const parts = path === "" ? [] : path.split("/").map((part) => Buffer.from(part, "latin1"))
    const parent = holding(root, parts)
    const name = parts.at(-1)
    try {
      if (name !== undefined && made && parent.stat(name) === undefined) {
        step(`make ${path}`)
        parent.make(name, 0o700, undefined).folder.close()
      }
      if (made) return
      const folder = name === undefined ? root : parent.open(name)
      try {
        step(`put right ${path}`)
        fs.fchownSync(folder.fd, uid, gid)
        fs.fchmodSync(folder.fd, mode)
        fs.futimesSync(folder.fd, modifiedMs / 1000, modifiedMs / 1000)
        await folder.sync()
      } finally {
        if (folder !== root) folder.close()
      }
    } catch (cause) {
      throw fileError(path, cause)
    } finally {
      if (parent !== root) parent.close()
    }
  }
  const sorted = [...folders].sort((a, b) => depth(b) - depth(a))
  if (make) for (const one of [...sorted].reverse()) await set(one, true)
  for (const one of sorted) await set(one, false)
}

const move = async (restore: Restore, from: Phase, to: Phase): Promise<Phase> => {
  restore.step(`phase ${to}`)
  await setPhase(restore.place, from, to)
  return to
}

const opened = (root: Folder, place: Folder, step: Step): Restore & { readonly phase: Phase } => {
  const phase = phaseOf(place)
  if (phase === undefined) throw new FileNotFound({ path: "a restore that was staged whole" })
  const plan = readPlan(place)
  return { root, place, plan, coverage: coverage(plan.header), step, phase }
}

/** Until what was staged has taken its place. */
export const replace = async (root: Folder, place: Folder, step: Step): Promise<void> => {
  const restore = opened(root, place, step)
  const { plan } = restore
  const all = plan.header.covers === "all"
  let phase = restore.phase
  if (phase === "out" || phase === "back") {
    await putBack(root, place, step)
    phase = "staged"
  }
  if (phase === "staged") {
    step("write down what is there")
    await writeBefore(place, await foldersOf(root))
    phase = await move(restore, phase, "aside")
  }
  if (phase === "aside") {
    await leave(restore, {
      to: OLD,
      incoming: NEW,
      mayGo: (_, target) => all || target.there() !== undefined
    })
    phase = await move(restore, phase, "in")
  }
  if (phase === "in") {
    await enter(restore, NEW)
    const before = new Set(readBefore(place).map(({ path }) => path))
    const isNew = (path: string) => (path === "" ? plan.rootMade : !before.has(path))
    await putRight(root, all ? plan.folders : plan.folders.filter(({ path }) => isNew(path)), all, step)
    await move(restore, phase, "done")
  }
}

/** Until all is as it was before `replace`; what was staged is staged again. */
export const putBack = async (root: Folder, place: Folder, step: Step): Promise<void> => {
  if (phaseOf(place) === undefined) return
  const restore = opened(root, place, step)
  let phase = restore.phase
  if (phase === "staged") return
  const before = readBefore(place)
  if (phase === "aside") phase = await move(restore, phase, "back")
  if (phase === "in" || phase === "done") phase = await move(restore, phase, "out")
  if (phase === "out") {
    const paths = new Set(before.map(({ path }) => path))
    await leave(restore, { to: NEW, incoming: OLD, mayGo: (path) => !paths.has(path) })
    phase = await move(restore, phase, "back")
  }
  await enter(restore, OLD)
  await putRight(root, before, true, step)
  await move(restore, phase, "staged")
}

/** Half in place, neither what is staged nor what went aside is all of it. */
export const isUnderWay = (place: Folder): boolean => {
  const phase = phaseOf(place)
  return phase !== undefined && phase !== "staged" && phase !== "done"
}

export const underWay = (restore: string) =>
  new FileRefused({ path: `restore ${restore}`, why: "is under way", nextStep: "finish it or take it back first" })
