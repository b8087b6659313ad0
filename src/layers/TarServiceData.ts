import * as fs from "node:fs"
import { Effect, Exit, Layer, Stream } from "effect"
import type { FileError } from "../services/FileTransfer.ts"
import { FileNotFound, FileRefused } from "../services/FileTransfer.ts"
import {
  type ArchiveEvent,
  ArchiverUnusable,
  type ArchiveTotals,
  ArchiveUnusable,
  DatabaseNotCopied,
  ServiceData
} from "../services/ServiceData.ts"
import { sweepCopies } from "./archive/databases.ts"
import { readHeader } from "./archive/header.ts"
import { archive } from "./archive/pack.ts"
import { discardName, restoreName, restoreOf, type Step, writePlan } from "./archive/place.ts"
import { isUnderWay, putBack, replace, underWay } from "./archive/restore.ts"
import type { Unpacked } from "./archive/Unpacker.ts"
import { unpack } from "./archive/unpack.ts"
import { type Zstd, zstd } from "./archive/zstd.ts"
import { confined, type Folder } from "./files/Folder.ts"
import { fileError } from "./files/failure.ts"
import { PARTIAL, partialOf } from "./files/partialFolder.ts"
import { remove } from "./files/remove.ts"

export interface Options {
  readonly filesRoot: string
  /** Runs archive/sqliteProgram.ts, which the build makes a file of its own. */
  readonly sqlite: ReadonlyArray<string>
  /** How long a database that somebody else has locked is waited for. */
  readonly busyMs?: number
  readonly zstd?: string
  /** Told before each change that a restore makes. */
  readonly step?: Step
}

/** What a generator gives, which is told to give up before its end is waited for. */
const giving = <A>(make: (signal: AbortSignal) => AsyncGenerator<A>): AsyncIterable<A> => ({
  [Symbol.asyncIterator]: () => {
    const stop = new AbortController()
    const made = make(stop.signal)
    return {
      next: () => made.next(),
      return: (value) => {
        stop.abort()
        return made.return(value)
      }
    }
  }
})

const checkName = (restore: string) => {
  if (/^[0-9A-Za-z-]+$/.test(restore)) return
  throw new FileRefused({ path: restore, why: "is no restore's id", nextStep: "name one by its ULID" })
}

/** The folder of a service's partial files, and one of it. */
interface Opened {
  readonly root: Folder
  readonly partial: Folder
  readonly close: () => void
}

const archiveError = (service: string) => (cause: unknown) =>
  cause instanceof DatabaseNotCopied || cause instanceof ArchiverUnusable ? cause : fileError(service, cause)
const stageError = (cause: unknown) =>
  cause instanceof ArchiveUnusable || cause instanceof ArchiverUnusable ? cause : fileError("the restore", cause)

const asUnusable = (cause: unknown) =>
  cause instanceof ArchiveUnusable ? cause : new ArchiveUnusable({ why: (cause as Error).message })

/** Ends only by failing. */
const feeding = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>, packed: Zstd) =>
  bytes.pipe(
    Stream.runForEach((some) => Effect.promise(() => packed.write(some))),
    Effect.zipRight(Effect.sync(packed.end)),
    Effect.zipRight(Effect.never)
  )

/** A tar, packed by zstd, of what lies below `filesRoot`; restores are staged beside the data and renamed into place. */
export const layer = ({ busyMs = 30_000, filesRoot, sqlite, step = () => {}, zstd: program }: Options) => {
  const databases = { command: sqlite, busyMs }

  const open = (service: string): Opened | undefined => {
    const root = confined(filesRoot, service)
    if (root === undefined) return undefined
    if (!root.stat(PARTIAL)?.isDirectory()) {
      root.close()
      return undefined
    }
    return openedIn(root)
  }
  const openedIn = (root: Folder): Opened => {
    const partial = partialOf(root)
    const close = () => {
      partial.close()
      root.close()
    }
    try {
      return { root, partial: partial.get(), close }
    } catch (cause) {
      close()
      throw cause
    }
  }

  /** What has begun is done to its end: only a crash cuts it. */
  const uncut = (run: () => Promise<void>): Effect.Effect<void, FileError> =>
    Effect.uninterruptible(Effect.tryPromise({ try: run, catch: (cause) => fileError("the restore", cause) }))

  const inPlace = async (opened: Opened, name: Buffer, use: (place: Folder) => Promise<void>): Promise<void> => {
    const place = opened.partial.open(name)
    try {
      await use(place)
    } finally {
      place.close()
    }
  }

  const restoring = (
    service: string,
    restore: string,
    use: (root: Folder, place: Folder) => Promise<void>,
    absent: () => void
  ) =>
    uncut(async () => {
      checkName(restore)
      const opened = open(service)
      if (opened === undefined) return absent()
      try {
        if (opened.partial.stat(restoreName(restore)) === undefined) return absent()
        await inPlace(opened, restoreName(restore), (place) => use(opened.root, place))
      } finally {
        opened.close()
      }
    })

  const drop = async (opened: Opened, restore: string): Promise<void> => {
    const name = restoreName(restore)
    const gone = discardName(restore)
    if (opened.partial.stat(name)?.isDirectory()) {
      // Half in place, it is the only one that knows the other half.
      await inPlace(opened, name, async (place) => {
        if (isUnderWay(place)) await putBack(opened.root, place, step)
      })
      if (opened.partial.stat(gone) !== undefined) await remove(opened.partial, gone, true)
      step(`drop ${restore}`)
      fs.renameSync(opened.partial.at(name), opened.partial.at(gone))
    }
    if (opened.partial.stat(gone) !== undefined) await remove(opened.partial, gone, true)
  }

  /** An empty folder for what is unpacked. */
  const begin = async (service: string, restore: string) => {
    checkName(restore)
    const there = confined(filesRoot, service)
    const root = there ?? confined(filesRoot, service, true)
    if (root === undefined) throw new FileNotFound({ path: `${filesRoot}/${service}` })
    const opened = openedIn(root)
    try {
      const name = restoreName(restore)
      if (opened.partial.stat(name) !== undefined) {
        await inPlace(opened, name, async (place) => {
          if (isUnderWay(place)) throw underWay(restore)
        })
        await drop(opened, restore)
      }
      return { opened, name, rootMade: there === undefined, place: opened.partial.make(name, 0o700, undefined).folder }
    } catch (cause) {
      opened.close()
      throw cause
    }
  }

  const end = async (
    { name, opened, place, rootMade }: Effect.Effect.Success<ReturnType<typeof began>>,
    ok: boolean,
    service: string
  ) => {
    place.close()
    if (!ok) await remove(opened.partial, name, true).catch(() => {})
    opened.close()
    try {
      if (!ok && rootMade) fs.rmdirSync(`${filesRoot}/${service}`)
    } catch {}
  }
  const began = (service: string, restore: string) =>
    Effect.tryPromise({ try: () => begin(service, restore), catch: stageError })

  return Layer.effect(
    ServiceData,
    Effect.sync(() => {
      try {
        sweepCopies(filesRoot)
      } catch {
        // It is told of when it is in the way.
      }
      return ServiceData.of({
        archive: (header) =>
          Stream.fromAsyncIterable(
            giving(async function* (signal): AsyncGenerator<ArchiveEvent> {
              const root = confined(filesRoot, header.service)
              if (root === undefined) throw new FileNotFound({ path: `${filesRoot}/${header.service}` })
              try {
                const options = { ...databases, filesRoot, ...(program === undefined ? {} : { zstd: program }) }
                yield* archive(root, header, options, signal)
              } finally {
                root.close()
              }
            }),
            archiveError(header.service)
          ),
        header: (bytes) =>
          Effect.suspend(() => {
            const packed = zstd("unpack", program)
            const reading = Effect.tryPromise({
              try: () => readHeader(packed),
              catch: (cause) => (cause instanceof ArchiverUnusable ? cause : asUnusable(cause))
            })
            return Effect.raceFirst(reading, feeding(bytes, packed)).pipe(Effect.ensuring(Effect.sync(packed.kill)))
          }),
        stage: (service, restore, bytes, told) =>
          Effect.acquireUseRelease(
            began(service, restore),
            ({ place, rootMade }) =>
              Effect.gen(function* () {
                const packed = zstd("unpack", program)
                let unpacked: Unpacked | undefined
                const taking = Stream.fromAsyncIterable(
                  giving(async function* (signal): AsyncGenerator<ArchiveTotals> {
                    unpacked = yield* unpack(place, packed, databases, signal)
                  }),
                  stageError
                ).pipe(Stream.runForEach(told))
                yield* Effect.raceFirst(taking, feeding(bytes, packed)).pipe(Effect.ensuring(Effect.sync(packed.kill)))
                if (unpacked === undefined) return yield* Effect.dieMessage("an archive ended without its end")
                const { plan, totals } = unpacked
                yield* Effect.tryPromise({ try: () => writePlan(place, { ...plan, rootMade }), catch: stageError })
                yield* told(totals)
                return { header: plan.header, totals }
              }),
            (begun, exit) => Effect.promise(() => end(begun, Exit.isSuccess(exit), service))
          ),
        replace: (service, restore) =>
          restoring(
            service,
            restore,
            (root, place) => replace(root, place, step),
            () => {
              throw new FileNotFound({ path: `restore ${restore} of ${service}` })
            }
          ),
        putBack: (service, restore) =>
          restoring(
            service,
            restore,
            (root, place) => putBack(root, place, step),
            () => {}
          ),
        discard: (service, restore) =>
          uncut(async () => {
            if (restore !== undefined) checkName(restore)
            const opened = open(service)
            if (opened === undefined) return
            try {
              const all = opened.partial.names().flatMap((name) => restoreOf(name) ?? [])
              for (const one of restore === undefined ? all : [restore]) await drop(opened, one)
            } finally {
              opened.close()
            }
          })
      })
    })
  )
}
