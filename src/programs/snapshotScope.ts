import { Clock, Effect, Option, Ref, Schema } from "effect"
import { ServiceName } from "../domain/Names.ts"
import { reservedBy } from "../domain/NodeRules.ts"
import { FileTransfer } from "../services/FileTransfer.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { Registry } from "../services/Registry.ts"
import { ServiceFolders } from "../services/ServiceFolders.ts"
import { gather } from "./facts.ts"
import { findService } from "./findService.ts"
import { DataInTheWay, NameReserved, ServiceNotFound } from "./ProgramError.ts"
import { recover } from "./recover.ts"
import { ServiceLocks } from "./ServiceLocks.ts"

/* Whose data may be copied and put back, and what holds others off meanwhile. */

const isService = Schema.is(ServiceName)

/** Nothing of the agent's own lies in the service's folder, and its name is one. */
export const usable = (service: string) =>
  Effect.gen(function* () {
    if (!isService(service)) return yield* new ServiceNotFound({ service })
    const { filesRoot, ownPaths } = yield* NodeInfo
    const { realPath } = yield* ServiceFolders
    const real = yield* Effect.forEach(ownPaths, realPath)
    const reserved = reservedBy(filesRoot, service, ownPaths) || reservedBy(yield* realPath(filesRoot), service, real)
    if (reserved) yield* new NameReserved({ service })
  })

/** A service whose data may be read and put back. */
export const known = (service: string) => Effect.zipRight(usable(service), findService(service))

const HERE = new Uint8Array()

/** Data may be put where a service is known, and where there is nothing yet: it comes from another node then. */
export const intoWhat = (service: string) =>
  Effect.gen(function* () {
    yield* usable(service)
    if (Option.isSome(yield* (yield* Registry).service(service))) return
    const there = yield* (yield* FileTransfer).list(service, HERE, HERE).pipe(
      Effect.map(({ entries }) => entries.length > 0),
      Effect.catchTag("FileNotFound", () => Effect.succeed(false))
    )
    if (there) yield* new DataInTheWay({ service })
  })

interface Waits {
  readonly wait: boolean
  readonly waiting: (holder: string) => Effect.Effect<void>
}

/** Under the service's lock. What runs goes on, and is started again by its policy when it ends. */
export const servingMeanwhile =
  (service: string, act: string, { wait, waiting }: Waits) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.gen(function* () {
      const locks = yield* ServiceLocks
      const serving = Effect.flatMap(gather(service), ({ current }) =>
        locks.serve(
          service,
          [...current.values()].map(({ id }) => id)
        )
      )
      const told = ({ act: other, since }: { readonly act: string; readonly since: number }) =>
        waiting(`${other} that has been under way since ${new Date(since).toISOString()}`)
      return yield* locks.withLock(service, act, { wait, onWait: told })(
        // Files can be copied with podman away.
        recover(service).pipe(Effect.zipRight(Effect.ignore(serving)), Effect.zipRight(effect))
      )
    })

const PROGRESS_MS = 200

/** Tells no more often than somebody can read. */
export const nowAndThen = <A>(tell: (value: A) => Effect.Effect<void>) =>
  Effect.map(
    Ref.make(Number.NEGATIVE_INFINITY),
    (last) => (value: A) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        if (now - (yield* Ref.get(last)) < PROGRESS_MS) return
        yield* Ref.set(last, now)
        yield* tell(value)
      })
  )
