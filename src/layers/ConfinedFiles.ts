import { createHash, randomUUID } from "node:crypto"
import * as fs from "node:fs"
import { Effect, Either, Layer, Stream } from "effect"
import type { FileEntry, FileParts } from "../domain/FileParts.ts"
import { shown, splitPath } from "../domain/FilePath.ts"
import {
  FileNotFound,
  FileRefused,
  FileTransfer,
  type ListedFile,
  PathOutsideRoot,
  type PushOptions
} from "../services/FileTransfer.ts"
import { isRestoreLitter } from "./archive/place.ts"
import { confined, type Folder, holding } from "./files/Folder.ts"
import { fileError } from "./files/failure.ts"
import { heldIn, nothingHeld } from "./files/held.ts"
import { allNamesInside } from "./files/names.ts"
import { PARTIAL, partialInUse, partialOf } from "./files/partial.ts"
import { Receiver } from "./files/receive.ts"
import { receiving } from "./files/receiving.ts"
import { remove } from "./files/remove.ts"
import { entryOf, send } from "./files/send.ts"

const PARTIAL_KEPT_MS = 24 * 3_600_000
/** Names of what cannot be gone on with begin so. */
const ONCE = "once-"
const PAGE = 2_000

const partsOf = (path: Uint8Array): ReadonlyArray<Uint8Array> => {
  const split = splitPath(path)
  if (Either.isLeft(split)) throw new PathOutsideRoot({ path: shown(path), why: split.left })
  return split.right
}

/** The folder that holds a path, and the path's name in it; no name for the root itself. Close it when it is another. */
const walk = (root: Folder, parts: ReadonlyArray<Uint8Array>) => ({ folder: holding(root, parts), name: parts.at(-1) })

/** A source's file is the same as long as its size and time are; its digest is looked at besides. */
const resumableName = ({ modifiedMs, size }: FileEntry, path: Uint8Array) =>
  Buffer.from(createHash("sha256").update(path).update(`\0${size}\0${modifiedMs}`).digest("hex"))

const pathKey = (parts: ReadonlyArray<Uint8Array>) => Buffer.concat(parts.flatMap((part) => [part, Buffer.from("/")]))

const clear = async (root: Folder, before: number) => {
  if (!root.stat(PARTIAL)?.isDirectory()) return
  const nobody = !partialInUse(root)
  const partial = partialOf(root)
  try {
    const folder = partial.get()
    for (const name of folder.names()) {
      const stat = folder.stat(name)
      if (stat === undefined) continue
      if (stat.isDirectory()) {
        if (nobody && isRestoreLitter(folder, name)) await remove(folder, name, true)
      } else if (name.toString("latin1").startsWith(ONCE) || stat.mtimeMs < before) folder.unlink(name)
    }
  } finally {
    partial.close()
  }
}

/** Files below `filesRoot`, confined to each service's own folder. */
export const layer = (filesRoot: string): Layer.Layer<FileTransfer> =>
  Layer.sync(FileTransfer, () => {
    // The agent alone writes here, so that what it knows of itself is enough.
    const busy = new Set<string>()

    const root = (service: string, make = false): Folder => {
      const folder = confined(filesRoot, service, make)
      if (folder === undefined) throw new FileNotFound({ path: `${filesRoot}/${service}` })
      return folder
    }
    const using = <A>(
      service: string,
      path: Uint8Array,
      use: (root: Folder, parts: ReadonlyArray<Uint8Array>) => Promise<A>
    ) =>
      Effect.tryPromise({
        try: async () => {
          const parts = partsOf(path)
          const folder = root(service)
          try {
            return await use(folder, parts)
          } finally {
            folder.close()
          }
        },
        catch: (cause) => fileError(shown(path), cause)
      })
    /** The folder that holds what is at the path, and its name there. */
    const below = <A>(
      service: string,
      path: Uint8Array,
      use: (parent: Folder, name: Uint8Array | undefined) => Promise<A>
    ) =>
      using(service, path, async (folder, parts) => {
        const at = walk(folder, parts)
        try {
          return await use(at.folder, at.name)
        } finally {
          if (at.folder !== folder) at.folder.close()
        }
      })

    const receiver = (service: string, path: Uint8Array, options: PushOptions) => {
      const place = partsOf(path)
      const folder = root(service, true)
      const partial = partialOf(folder)
      const key = (name: Uint8Array) => `${service}/${Buffer.from(name).toString("latin1")}`
      const made = new Receiver({
        root: folder,
        place,
        tree: options.tree,
        mode: options.mode,
        inheritOwner: true,
        partial: partial.get,
        partialName: (entry, path) =>
          options.tree ? Buffer.from(`${ONCE}${randomUUID()}`) : resumableName(entry, path),
        take: (name) => !busy.has(key(name)) && busy.add(key(name)) !== undefined,
        letGo: (name) => void busy.delete(key(name))
      })
      return {
        receiver: made,
        close: () => {
          partial.close()
          folder.close()
        }
      }
    }

    return FileTransfer.of({
      push: (service, path, options, parts) => receiving(shown(path), () => receiver(service, path, options), parts),
      held: (service, path, source) =>
        using(service, path, async (folder, parts) => {
          if (!folder.stat(PARTIAL)?.isDirectory()) return nothingHeld
          const partial = folder.open(PARTIAL)
          try {
            const name = resumableName(source, pathKey(parts))
            return await heldIn(partial, name, source.size)
          } finally {
            partial.close()
          }
        }),
      pull: (service, path, tree, held) =>
        Stream.fromAsyncIterable(
          (async function* (): AsyncGenerator<FileParts> {
            const parts = partsOf(path)
            const folder = root(service)
            try {
              const at = walk(folder, parts)
              try {
                yield* send(at.folder, at.name, { tree, held, allNamesInside: allNamesInside(folder) })
              } finally {
                if (at.folder !== folder) at.folder.close()
              }
            } finally {
              folder.close()
            }
          })(),
          (cause) => fileError(shown(path), cause)
        ),
      list: (service, path, after) =>
        below(service, path, async (parent, name) => {
          const stat = name === undefined ? undefined : parent.stat(name)
          if (name !== undefined && stat === undefined) throw new FileNotFound({ path: parent.shown(name) })
          if (name !== undefined && stat !== undefined && !stat.isDirectory()) {
            return { entries: [listed(parent, name, stat)], more: false }
          }
          const folder = name === undefined ? parent : parent.open(name)
          try {
            const all = folder
              .names()
              .filter((one) => Buffer.compare(one, after) > 0 && (name !== undefined || !one.equals(PARTIAL)))
            const entries = all.slice(0, PAGE).flatMap((one) => {
              const stat = folder.stat(one)
              return stat === undefined ? [] : [listed(folder, one, stat)]
            })
            return { entries, more: all.length > PAGE }
          } finally {
            if (folder !== parent) folder.close()
          }
        }),
      remove: (service, path, recursive) =>
        below(service, path, (parent, name) => {
          if (name === undefined) {
            throw new FileRefused({
              path: ".",
              why: "is the service's own folder, which stays",
              nextStep: "name what lies in it"
            })
          }
          return remove(parent, name, recursive)
        }),
      sweep: (services) =>
        Effect.forEach(
          services,
          (service) =>
            Effect.tryPromise(async () => {
              const folder = confined(filesRoot, service)
              if (folder === undefined) return
              try {
                await clear(folder, Date.now() - PARTIAL_KEPT_MS)
              } finally {
                folder.close()
              }
            }).pipe(Effect.ignore),
          { discard: true }
        )
    })
  })

const listed = (folder: Folder, name: Uint8Array, stat: fs.Stats): ListedFile => ({
  ...entryOf(name, stat),
  ...(stat.isSymbolicLink() ? { target: fs.readlinkSync(folder.at(name), { encoding: "buffer" }) } : {}),
  uid: stat.uid,
  gid: stat.gid
})
