import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { basename, dirname, resolve } from "node:path"
import { Effect, Layer, Stream } from "effect"
import type { FileParts } from "../domain/FileParts.ts"
import { LocalTree } from "../services/LocalTree.ts"
import { hashed } from "./files/bytes.ts"
import { plain } from "./files/Folder.ts"
import { fileError } from "./files/failure.ts"
import { heldIn } from "./files/held.ts"
import { keyOf, Receiver } from "./files/receive.ts"
import { receiving } from "./files/receiving.ts"
import { entryOf, send } from "./files/send.ts"

const attempt = <A>(path: string, run: () => Promise<A>) =>
  Effect.tryPromise({ try: run, catch: (cause) => fileError(path, cause) })

const NOTHING = new Uint8Array()

/** The folder that a file lies in, and its name there. */
const placed = (path: string) => {
  const at = resolve(path)
  return { folder: plain(dirname(at)), name: Buffer.from(basename(at)) }
}

/** The same for the same path: `--resume` finds it again. */
const partialName = (path: Uint8Array) =>
  Buffer.from(`.mcp-partial-${createHash("sha256").update(path).digest("hex").slice(0, 16)}`)

const allNamesInside = () => true

export const layer: Layer.Layer<LocalTree> = Layer.succeed(LocalTree, {
  baseName: (path) => basename(resolve(path)),
  look: (path) =>
    Effect.try({
      try: () => {
        const stat = fs.statSync(path, { throwIfNoEntry: false })
        return stat === undefined ? undefined : entryOf(NOTHING, stat)
      },
      catch: (cause) => fileError(path, cause)
    }),
  read: (path, tree, held) =>
    Stream.fromAsyncIterable(
      (async function* (): AsyncGenerator<FileParts> {
        const real = fs.realpathSync(path)
        const isFolder = fs.statSync(real).isDirectory()
        const { folder, name } = isFolder ? { folder: plain(real), name: undefined } : placed(real)
        try {
          yield* send(folder, name, { tree, held, allNamesInside })
        } finally {
          folder.close()
        }
      })(),
      (cause) => fileError(path, cause)
    ),
  held: (path) =>
    attempt(path, async () => {
      const { folder, name } = placed(path)
      try {
        return await heldIn(folder, partialName(keyOf([name])))
      } finally {
        folder.close()
      }
    }),
  digest: (path, bytes) =>
    attempt(path, async () => {
      const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
      try {
        return (await hashed(fd, bytes))?.digest()
      } finally {
        fs.closeSync(fd)
      }
    }),
  write: (path, { mode, tree }, parts) =>
    receiving(
      path,
      () => {
        const { folder, name } = placed(path)
        const receiver = new Receiver({
          root: folder,
          place: [name],
          tree,
          mode,
          inheritOwner: false,
          partial: (target) => target,
          partialName: (_, where) => partialName(where),
          take: () => true,
          letGo: () => {}
        })
        return { receiver, close: () => folder.close() }
      },
      parts
    )
})
