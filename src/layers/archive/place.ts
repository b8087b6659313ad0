import * as fs from "node:fs"
import { Schema } from "effect"
import { ArchiveHeader } from "../../services/ServiceData.ts"
import type { Folder } from "../files/Folder.ts"

/* A restore's own folder, below the service's partial folder. Moves within it and out of it are renames. */

/** Told before each change, so that a test can cut there. */
export type Step = (what: string) => void

const DISCARDED = "discard-"
const RESTORE = "restore-"

export const restoreName = (restore: string) => Buffer.from(RESTORE + restore)
export const discardName = (restore: string) => Buffer.from(DISCARDED + restore)
export const restoreOf = (name: Buffer): string | undefined =>
  name.toString().startsWith(RESTORE) ? name.toString().slice(RESTORE.length) : undefined

/** What was staged, as it will be. */
export const NEW = Buffer.from("new")
/** What went aside. */
export const OLD = Buffer.from("old")
const PLAN = Buffer.from("plan.json")
const BEFORE = Buffer.from("before.json")

export const FolderFacts = Schema.Struct({
  /** Its bytes, each as one character. Empty for the service's own folder. */
  path: Schema.String,
  mode: Schema.Number,
  uid: Schema.Number,
  gid: Schema.Number,
  modifiedMs: Schema.Number
})
export type FolderFacts = typeof FolderFacts.Type

export const Plan = Schema.Struct({
  header: ArchiveHeader,
  /** The service's own folder was not there before. */
  rootMade: Schema.Boolean,
  /** As the archive says. */
  folders: Schema.Array(FolderFacts)
})
export type Plan = typeof Plan.Type

/** As they were when the restore began. */
const Before = Schema.Array(FolderFacts)

/**
 * `aside` and `in` are the way forward, `out` and `back` the way back, which ends at `staged` again. The name of an empty
 * file tells it, so that the next one needs no space on the disk.
 */
export const phases = ["staged", "aside", "in", "done", "out", "back"] as const
export type Phase = (typeof phases)[number]

const fileOf = (phase: Phase) => Buffer.from(`phase-${phase}`)

export const phaseOf = (place: Folder): Phase | undefined =>
  place.stat(PLAN) === undefined ? undefined : phases.find((phase) => place.stat(fileOf(phase)) !== undefined)

export const setPhase = async (place: Folder, from: Phase, to: Phase): Promise<void> => {
  fs.renameSync(place.at(fileOf(from)), place.at(fileOf(to)))
  await place.sync()
}

const write = async (place: Folder, name: Buffer, text: string) => {
  const draft = Buffer.from("draft")
  place.unlink(draft)
  const fd = place.createFile(draft)
  try {
    fs.writeFileSync(fd, text)
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
  fs.renameSync(place.at(draft), place.at(name))
  await place.sync()
}

const read = (place: Folder, name: Buffer) => {
  const fd = place.openFile(name)
  try {
    return fs.readFileSync(fd, "utf8")
  } finally {
    fs.closeSync(fd)
  }
}

/** The last act of staging: from here on it can be used. */
export const writePlan = async (place: Folder, plan: Plan): Promise<void> => {
  fs.closeSync(place.createFile(fileOf("staged")))
  await write(place, PLAN, Schema.encodeSync(Schema.parseJson(Plan))(plan))
}
export const readPlan = (place: Folder): Plan => Schema.decodeSync(Schema.parseJson(Plan))(read(place, PLAN))

export const writeBefore = (place: Folder, folders: ReadonlyArray<FolderFacts>): Promise<void> =>
  write(place, BEFORE, Schema.encodeSync(Schema.parseJson(Before))(folders))
export const readBefore = (place: Folder): ReadonlyArray<FolderFacts> =>
  Schema.decodeSync(Schema.parseJson(Before))(read(place, BEFORE))

/** What a killed agent left of a restore that touched nothing yet, or that was being dropped. */
export const isRestoreLitter = (partial: Folder, name: Buffer): boolean => {
  if (name.toString().startsWith(DISCARDED)) return true
  if (restoreOf(name) === undefined) return false
  const place = partial.open(name)
  try {
    return phaseOf(place) === undefined
  } finally {
    place.close()
  }
}
