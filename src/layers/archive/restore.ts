import { coverage } from "../../domain/Coverage.ts"
import { FileNotFound, FileRefused } from "../../services/FileTransfer.ts"
import type { Folder } from "../files/Folder.ts"
import { foldersOf, putRight } from "./folders.ts"
import { enter, leave, type Restore } from "./moves.ts"
import { NEW, OLD, type Phase, phaseOf, readBefore, readPlan, type Step, setPhase, writeBefore } from "./place.ts"

/*
 * Each phase goes over the trees as they are, and moves what is not where it belongs yet. So each can be cut anywhere and
 * said again. A phase is over, and on the disk, before the next one begins.
 */

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
