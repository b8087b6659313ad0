import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { join } from "node:path"
import { Chunk, Effect, Stream } from "effect"
import * as TarServiceData from "../../src/layers/TarServiceData.ts"
import { type ArchiveEvent, type ArchiveHeader, ServiceData } from "../../src/services/ServiceData.ts"
import { temporaryFolder } from "../support/folder.ts"

export const headerOf = (over: Partial<ArchiveHeader> = {}): ArchiveHeader => ({
  version: 1,
  id: "01J00000000000000000000000",
  service: "shop",
  node: "rift",
  createdAt: 1_700_000_000_000,
  covers: "all",
  excludes: [],
  ...over
})

/** A service's folder, and what is done with it. */
export const world = (
  sqlite: ReadonlyArray<string>,
  more: Partial<TarServiceData.Options> = {},
  filesRoot = temporaryFolder()
) => {
  const root = join(filesRoot, "shop")
  fs.mkdirSync(root, { recursive: true })
  const layer = TarServiceData.layer({ filesRoot, sqlite, ...more })
  const run = <A, E>(use: (data: ServiceData["Type"]) => Effect.Effect<A, E>) =>
    Effect.flatMap(ServiceData, use).pipe(Effect.provide(layer))
  const archive = (over: Partial<ArchiveHeader> = {}) =>
    run((data) => Stream.runCollect(data.archive(headerOf(over)))).pipe(
      Effect.map((events) => {
        const all = Chunk.toReadonlyArray(events)
        const of = <T extends ArchiveEvent["_tag"]>(tag: T) =>
          all.filter((event): event is ArchiveEvent & { _tag: T } => event._tag === tag)
        return {
          bytes: Buffer.concat(of("Bytes").map(({ bytes }) => bytes)),
          leftOut: of("LeftOut").map(({ leftOut }) => leftOut),
          done: of("Done")[0]?.totals
        }
      })
    )
  const stage = (bytes: Buffer, restore = "r1", service = "shop") =>
    run((data) => data.stage(service, restore, pieces(bytes), () => Effect.void))
  return { filesRoot, root, run, archive, stage }
}

export const pieces = (bytes: Uint8Array, size = 65_536) =>
  Stream.fromIterable(
    (function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
    })()
  )

/** All that a restore is to bring back; the root's own time aside, in which the agent's folder comes and goes. */
export const pictureOf = (root: string): ReadonlyArray<string> => {
  const lines: Array<string> = []
  const look = (at: string, path: string) => {
    const stat = fs.lstatSync(at)
    const kind = stat.isFile() ? "file" : stat.isSymbolicLink() ? "link" : stat.isDirectory() ? "folder" : "other"
    const content = stat.isFile()
      ? createHash("sha256").update(fs.readFileSync(at)).digest("hex").slice(0, 12)
      : stat.isSymbolicLink()
        ? fs.readlinkSync(at)
        : ""
    const time = path === "." ? "" : Math.round(stat.mtimeMs)
    const mode = kind === "link" ? "" : (stat.mode & 0o7777).toString(8)
    lines.push([path, kind, mode, stat.uid, stat.gid, time, content].join(" "))
    if (stat.isDirectory()) {
      for (const name of fs.readdirSync(at, { encoding: "buffer" }).sort(Buffer.compare)) {
        if (path === "." && name.toString() === ".mcp-partial") continue
        look(join(at, name.toString("utf8")), `${path}/${name.toString("utf8")}`)
      }
    }
  }
  look(root, ".")
  return lines
}
