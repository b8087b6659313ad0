import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Stream } from "effect"
import type { FileParts } from "../../src/domain/FileParts.ts"
import * as ConfinedFiles from "../../src/layers/ConfinedFiles.ts"
import { FileTransfer } from "../../src/services/FileTransfer.ts"

/* A service's folder beside a tree that nobody may read or change through it. */

export const SECRET = "CANARY: nobody reads this through the service's folder"

export interface World {
  readonly dir: string
  readonly filesRoot: string
  readonly root: string
  readonly outside: string
}

/** In memory where there is such a place: each push waits for the disk. */
export const makeWorld = (): World => {
  const dir = fs.mkdtempSync(join(fs.existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "mcp-hostile-"))
  const outside = join(dir, "outside")
  fs.mkdirSync(join(outside, "sub/deep"), { recursive: true })
  // A name is a secret too.
  for (const name of ["secret", "sub/secret", "sub/deep/secret", "x", "f", SECRET, `sub/${SECRET}`])
    fs.writeFileSync(join(outside, name), SECRET)
  // What a walk that was led astray would find.
  for (const name of ["a", "sub/a", "e"]) fs.mkdirSync(join(outside, name), { recursive: true })
  const root = join(dir, "srv/shop")
  fs.mkdirSync(root, { recursive: true })
  return { dir, outside, root, filesRoot: join(dir, "srv") }
}

/** All that can be told of a tree, as one text. */
export const fingerprint = (path: string): string => {
  const lines: Array<string> = []
  const look = (at: string) => {
    const stat = fs.lstatSync(at)
    const content = stat.isFile() ? createHash("sha256").update(fs.readFileSync(at)).digest("hex") : ""
    lines.push([at, stat.mode, stat.uid, stat.gid, stat.ino, stat.isDirectory() ? "" : stat.mtimeMs, content].join(" "))
    if (stat.isDirectory()) for (const name of fs.readdirSync(at).sort()) look(join(at, name))
  }
  look(path)
  return lines.join("\n")
}

export const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest()

export const fileParts = (
  path: Uint8Array,
  bytes: Uint8Array,
  more: { size?: number; modifiedMs?: number } = {}
): FileParts => [
  {
    _tag: "Entry",
    entry: { path, kind: "file", mode: 0o644, size: bytes.length, modifiedMs: 0, offset: 0, ...more }
  },
  ...(bytes.length === 0 ? [] : [{ _tag: "Data", bytes } as const]),
  { _tag: "End", sha256: sha256(bytes) }
]

export const linkPart = (path: Uint8Array, target: Uint8Array): FileParts => [
  { _tag: "Entry", entry: { path, kind: "link", mode: 0o777, size: 0, modifiedMs: 0, offset: 0, target } }
]

export const folderPart = (path: Uint8Array): FileParts => [
  { _tag: "Entry", entry: { path, kind: "folder", mode: 0o755, size: 0, modifiedMs: 0, offset: 0 } }
]

export const last: FileParts = [{ _tag: "Last" }]

/** The operations by name, each answering what was read: of files, and of their names. */
export const operations = (filesRoot: string) => {
  const run = <A, E>(use: (files: FileTransfer["Type"]) => Effect.Effect<A, E>) =>
    Effect.flatMap(FileTransfer, use).pipe(Effect.provide(ConfinedFiles.layer(filesRoot)))
  const tree = { tree: true, mode: undefined }
  const pulled = (path: Uint8Array, all: boolean) =>
    run((files) =>
      files.pull("shop", path, all, undefined).pipe(
        Stream.mapConcat((parts) =>
          parts.flatMap((part) =>
            part._tag === "Data" ? [part.bytes] : part._tag === "Entry" ? [part.entry.path] : []
          )
        ),
        Stream.runCollect,
        Effect.map((chunks) => Buffer.concat([...chunks]).toString("latin1"))
      )
    )
  return {
    run,
    push: (path: Uint8Array, bytes: Uint8Array = Buffer.from("new")) =>
      run((files) =>
        files.push("shop", path, { ...tree, tree: false }, Stream.make(fileParts(new Uint8Array(), bytes), last))
      ).pipe(Effect.as("")),
    pushTree: (path: Uint8Array, ...parts: ReadonlyArray<FileParts>) =>
      run((files) => files.push("shop", path, tree, Stream.make(...parts, last))).pipe(Effect.as("")),
    pull: (path: Uint8Array) => pulled(path, false),
    pullTree: (path: Uint8Array) => pulled(path, true),
    list: (path: Uint8Array) =>
      run((files) => files.list("shop", path, new Uint8Array())).pipe(
        Effect.map(({ entries }) => Buffer.concat(entries.map((entry) => entry.path)).toString("latin1"))
      ),
    remove: (path: Uint8Array, all: boolean) => run((files) => files.remove("shop", path, all)).pipe(Effect.as(""))
  }
}
