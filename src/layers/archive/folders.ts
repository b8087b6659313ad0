import * as fs from "node:fs"
import { setImmediate } from "node:timers/promises"
import { PathOutsideRoot } from "../../services/FileTransfer.ts"
import { type Folder, holding } from "../files/Folder.ts"
import { fileError } from "../files/failure.ts"
import { PARTIAL } from "../files/partialFolder.ts"
import type { FolderFacts, Step } from "./place.ts"

/* Of which folders a tree is made, and how they are put right again. */

export const ROOT = Buffer.alloc(0)
const factsOf = (path: Buffer, stat: fs.Stats): FolderFacts => ({
  path: path.toString("latin1"),
  mode: stat.mode & 0o777,
  uid: stat.uid,
  gid: stat.gid,
  modifiedMs: stat.mtimeMs
})

export const beneath = (at: Buffer, name: Buffer) =>
  at.length === 0 ? name : Buffer.concat([at, Buffer.from("/"), name])

/** All folders of a tree, each before those in it. Other file systems are not looked into. */
export const foldersOf = async (root: Folder): Promise<ReadonlyArray<FolderFacts>> => {
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
export const openedHere = (folder: Folder, name: Buffer): Folder | undefined => {
  try {
    return folder.open(name)
  } catch (cause) {
    if (cause instanceof PathOutsideRoot) return undefined
    throw cause
  }
}

/** The deepest first, since what is done in a folder changes its time. */
export const putRight = async (
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
