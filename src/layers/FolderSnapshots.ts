import { createHash } from "node:crypto"
import { constants } from "node:fs"
import * as fs from "node:fs/promises"
import { dirname, join } from "node:path"
import { Effect, Either, Layer, Schema, Stream } from "effect"
import { ServiceName } from "../domain/Names.ts"
import * as Ulid from "../domain/Ulid.ts"
import {
  SnapshotDamaged,
  SnapshotDiskFull,
  SnapshotNotFound,
  SnapshotRecord,
  SnapshotStore,
  SnapshotUnusable
} from "../services/SnapshotStore.ts"
import { isMissing, whyNot } from "./fileError.ts"

/* `<folder>/<service>/<id>.tar.zst`, and what is known of it in `<id>.json` beside it, which comes first and goes last. */

const ARCHIVE = ".tar.zst"
const FACTS = ".json"
const PARTIAL = ".partial"
const PIECE = 1024 * 1024

const isService = Schema.is(ServiceName)
const decode = Schema.decodeUnknownEither(Schema.parseJson(SnapshotRecord))
const encode = Schema.encodeSync(Schema.parseJson(SnapshotRecord))

const codeOf = (cause: unknown) => (cause instanceof Error && "code" in cause ? String(cause.code) : "")

const unusable = (path: string) => (cause: unknown) => new SnapshotUnusable({ path, why: whyNot(cause) })
const unwritable = (path: string) => (cause: unknown) =>
  ["ENOSPC", "EDQUOT"].includes(codeOf(cause)) ? new SnapshotDiskFull({ folder: dirname(path) }) : unusable(path)(cause)

const writing = <A>(path: string, run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unwritable(path) })
const reading = <A>(path: string, run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unusable(path) })

const create = (path: string) =>
  fs.open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)

const syncFolder = async (path: string) => {
  const handle = await fs.open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const writeAll = async (handle: fs.FileHandle, bytes: Uint8Array) => {
  for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten
}

const filesIn = async (folder: string): Promise<ReadonlyArray<string>> => {
  try {
    return await fs.readdir(folder)
  } catch (cause) {
    if (isMissing(cause)) return []
    throw cause
  }
}

/** A file that was moved away meanwhile, or that somebody else put there, is no snapshot. */
const recordIn = async (folder: string, service: string, id: string): Promise<SnapshotRecord | undefined> => {
  try {
    const found = decode(await fs.readFile(join(folder, `${id}${FACTS}`), "utf8"))
    return Either.isRight(found) && found.right.id === id && found.right.service === service ? found.right : undefined
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw cause
  }
}

const idsOf = (names: ReadonlyArray<string>) =>
  names
    .filter((name) => name.endsWith(ARCHIVE))
    .map((name) => name.slice(0, -ARCHIVE.length))
    .filter(Ulid.is)

const listed = async (root: string, service: string) => {
  const folder = join(root, service)
  const ids = idsOf(await filesIn(folder))
    .toSorted()
    .toReversed()
  const records = await Promise.all(ids.map((id) => recordIn(folder, service, id)))
  return records.filter((record) => record !== undefined)
}

/** What ends with the writer, and facts whose archive never came. */
const cleared = async (folder: string) => {
  const names = await filesIn(folder)
  const ids = new Set(idsOf(names))
  const left = names.filter((name) => {
    if (name.endsWith(PARTIAL)) return true
    const id = name.slice(0, -FACTS.length)
    return name.endsWith(FACTS) && Ulid.is(id) && !ids.has(id)
  })
  for (const name of left) await fs.rm(join(folder, name), { force: true })
}

const pieces = <E>(path: string, onEnd: (sha256: string) => Effect.Effect<void, E>) =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const handle = yield* Effect.acquireRelease(
        reading(path, () => fs.open(path, constants.O_RDONLY | constants.O_NOFOLLOW)),
        (open) => Effect.promise(() => open.close())
      )
      const hash = createHash("sha256")
      const next = reading(path, async () => {
        const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(PIECE), 0, PIECE)
        return buffer.subarray(0, bytesRead)
      })
      const bytes = Stream.repeatEffect(next).pipe(
        Stream.takeWhile((piece) => piece.length > 0),
        Stream.tap((piece) => Effect.sync(() => hash.update(piece)))
      )
      return Stream.concat(bytes, Stream.drain(Stream.suspend(() => Stream.fromEffect(onEnd(hash.digest("hex"))))))
    })
  )

/** The snapshots of services' data in a folder of the agent's own. */
export const layer = (root: string): Layer.Layer<SnapshotStore> =>
  Layer.sync(SnapshotStore, () => {
    let written = 0
    return {
      write: (service, bytes, describe) =>
        Effect.scoped(
          Effect.gen(function* () {
            const folder = join(root, service)
            // Names of services are checked by whoever calls; a path is never made of another word.
            if (!isService(service)) return yield* new SnapshotUnusable({ path: root, why: "no name of a service" })
            const partial = join(folder, `${process.pid}-${++written}${PARTIAL}`)
            const handle = yield* Effect.acquireRelease(
              writing(partial, async () => {
                await fs.mkdir(folder, { recursive: true, mode: 0o700 })
                return create(partial)
              }),
              (open) => Effect.promise(() => open.close().then(() => fs.rm(partial, { force: true })))
            )
            const hash = createHash("sha256")
            let sizeBytes = 0
            yield* Stream.runForEach(bytes, (piece) =>
              writing(partial, async () => {
                hash.update(piece)
                sizeBytes += piece.length
                await writeAll(handle, piece)
              })
            )
            yield* writing(partial, () => handle.sync())
            const record = yield* describe({
              ...{ sizeBytes, sha256: hash.digest("hex") },
              bytes: pieces(partial, () => Effect.void)
            })
            if (!Ulid.is(record.id)) return yield* new SnapshotUnusable({ path: folder, why: "no id of a snapshot" })
            const path = join(folder, record.id)
            yield* writing(path, () => place(folder, partial, record)).pipe(Effect.uninterruptible)
            return record
          })
        ),
      read: (record) =>
        Stream.unwrap(
          Effect.gen(function* () {
            const { id: snapshot, service, sha256 } = record
            const path = join(root, service, `${snapshot}${ARCHIVE}`)
            const there = yield* reading(path, () =>
              fs.lstat(path).catch((cause) => {
                if (isMissing(cause)) return undefined
                throw cause
              })
            )
            if (there === undefined) return yield* new SnapshotNotFound({ service, snapshot })
            return pieces(path, (found) =>
              found === sha256 ? Effect.void : new SnapshotDamaged({ service, snapshot })
            )
          })
        ),
      list: (service) =>
        reading(root, async () => {
          const services = service === undefined ? (await filesIn(root)).toSorted() : [service]
          const all: Array<SnapshotRecord> = []
          for (const each of services.filter((name) => isService(name))) all.push(...(await listed(root, each)))
          return all
        }),
      remove: (service, id) =>
        reading(join(root, service, id), async () => {
          if (!isService(service) || !Ulid.is(id)) return
          const path = join(root, service, id)
          await fs.rm(`${path}${ARCHIVE}`, { force: true })
          await fs.rm(`${path}${FACTS}`, { force: true })
          await fs.rmdir(join(root, service)).catch(() => {})
        }),
      sweep: reading(root, async () => {
        for (const name of (await filesIn(root)).filter((each) => isService(each))) await cleared(join(root, name))
      })
    }
  })

const exists = async (path: string) => {
  try {
    await fs.lstat(path)
    return true
  } catch (cause) {
    if (isMissing(cause)) return false
    throw cause
  }
}

/** The facts first: what has its archive's name is a snapshot, and whole. */
const place = async (folder: string, partial: string, record: SnapshotRecord) => {
  const path = join(folder, record.id)
  if (await exists(`${path}${ARCHIVE}`)) return
  const draft = `${path}${FACTS}${PARTIAL}`
  try {
    const handle = await create(draft)
    try {
      await writeAll(handle, Buffer.from(`${encode(record)}\n`))
      await handle.sync()
    } finally {
      await handle.close()
    }
    await fs.rename(draft, `${path}${FACTS}`)
    await fs.rename(partial, `${path}${ARCHIVE}`)
    await syncFolder(folder)
  } catch (cause) {
    await fs.rm(draft, { force: true })
    if (!(await exists(`${path}${ARCHIVE}`))) await fs.rm(`${path}${FACTS}`, { force: true })
    throw cause
  }
}
