import { Clock, Effect, Option, PubSub, type Queue, Schedule, Stream } from "effect"
import { Container, ContainerRuntime, type RuntimeEvent } from "../services/ContainerRuntime.ts"
import type { RuntimeUnavailable } from "../services/RuntimeError.ts"
import { untilItAnswers } from "./progress.ts"
import { ServiceLocks } from "./ServiceLocks.ts"

/** What a look at the runtime brought. */
export type News =
  /** All containers were listed: at the start, after each gap in the events, each interval, and once it answers again. */
  | { readonly _tag: "Scanned" }
  /** One container changed; the last that was known of it, where it is gone now. */
  | { readonly _tag: "Changed"; readonly container: Container }
  /** An act on the service is over, and its containers are as they are now. */
  | { readonly _tag: "Released"; readonly service: string; readonly automatic: boolean }
  /** The runtime has not answered for some time. */
  | { readonly _tag: "Away"; readonly why: string }

/** How long the runtime may be restarted or busy before that is worth a word. */
const graceMs = 5_000

/** The events that change what a container is; those of probes (exec) are many and change nothing. */
const changing: ReadonlySet<string> = new Set(["create", "start", "died", "remove", "rename", "pause", "unpause"])

const over = (
  containers: ReadonlyMap<string, Container>,
  changes: Iterable<readonly [string, Container | null]>
): ReadonlyMap<string, Container> => {
  const all = new Map(containers)
  for (const [id, container] of changes) {
    if (container === null) all.delete(id)
    else all.set(id, container)
  }
  return all
}

/** As a list of containers tells times: in whole seconds. */
const toSeconds = (at: number) => Math.floor(at / 1000) * 1000

/**
 * What podman says of this node's containers, kept up to date: its event stream is followed live, and all of them are
 * listed each interval, after a gap, and when an act is over. Whoever follows shares one stream and one list.
 */
export class RuntimeFeed extends Effect.Service<RuntimeFeed>()("mcp/RuntimeFeed", {
  scoped: (options: { readonly scanEvery?: number } = {}) =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const locks = yield* ServiceLocks
      const scope = yield* Effect.scope
      const news = yield* PubSub.unbounded<News>()
      let containers: ReadonlyMap<string, Container> = new Map()
      /** The acts that were over, or begun, when the containers were last listed; undefined: what is known may be old. */
      let asOf: number | undefined
      let away: string | undefined
      let silentSince: number | undefined

      const tell = (one: News) => Effect.asVoid(news.publish(one))

      /** What events told of while a list was under way, by list: it may have been made before them. Null: removed. */
      const open = new Set<Map<string, Container | null>>()
      let begun = 0
      let applied = 0

      const put = (id: string, container: Container | null) => {
        for (const changes of open) changes.set(id, container)
        containers = over(containers, [[id, container]])
      }

      const list = Effect.gen(function* () {
        const { count } = yield* locks.moves
        const number = ++begun
        const changes = new Map<string, Container | null>()
        open.add(changes)
        const all = yield* Effect.ensuring(
          runtime.list,
          Effect.sync(() => open.delete(changes))
        )
        // One that was asked for earlier and came later says nothing new.
        if (number > applied) {
          applied = number
          containers = over(new Map(all.map((container) => [container.id, container])), changes)
          asOf = count
        }
        away = undefined
        silentSince = undefined
        return containers
      })

      /** It does not answer: that is said once, when it has been so for some time. */
      const missed = (error: RuntimeUnavailable) =>
        Effect.gen(function* () {
          const now = yield* Clock.currentTimeMillis
          asOf = undefined
          // A clock that was set back begins anew.
          silentSince = Math.min(silentSince ?? now, now)
          if (away !== undefined || now - silentSince < graceMs) return
          away = error.message
          yield* tell({ _tag: "Away", why: error.message })
        })

      /** Tried until it answers. */
      const scan = Effect.retry(Effect.tapError(list, missed), untilItAnswers)
      const turn = Effect.unsafeMakeSemaphore(1)
      const scanned = turn.withPermits(1)(Effect.zipRight(scan, tell({ _tag: "Scanned" })))

      /** What an event says is enough, but for a container that is new, or has another name now. */
      const changed = ({ action, at, containerId, exitCode }: RuntimeEvent) =>
        Effect.gen(function* () {
          const known = containers.get(containerId)
          if (action === "remove") {
            if (known === undefined) return
            put(containerId, null)
            return yield* tell({ _tag: "Changed", container: known })
          }
          if (known !== undefined && action === "died") {
            put(
              containerId,
              new Container({ ...known, state: "exited", exitCode: exitCode ?? 0, finishedAt: toSeconds(at) })
            )
          } else {
            const found = yield* Effect.option(runtime.inspect(containerId))
            if (Option.isNone(found)) return
            const { finishedAt, startedAt, ...rest } = found.value
            put(
              containerId,
              new Container({
                ...rest,
                ...(startedAt === undefined ? {} : { startedAt: toSeconds(startedAt) }),
                ...(finishedAt === undefined ? {} : { finishedAt: toSeconds(finishedAt) })
              })
            )
          }
          const now = containers.get(containerId)
          if (now !== undefined) yield* tell({ _tag: "Changed", container: now })
        })

      // Begun before the list, so that nothing falls between the two.
      const connected = Effect.raceFirst(
        Effect.tapError(
          Stream.runForEach(
            Stream.filter(runtime.events, ({ action }) => changing.has(action)),
            changed
          ),
          () =>
            Effect.suspend(() => {
              asOf = undefined
              return Effect.catchAll(runtime.list, missed)
            })
        ),
        Effect.zipRight(Effect.yieldNow(), Effect.zipRight(scanned, Effect.never))
      )

      const released = Stream.runForEach(locks.released, ({ automatic, service }) =>
        Effect.ignore(list).pipe(Effect.zipRight(tell({ _tag: "Released", service, automatic })))
      )

      let started = false
      const start = Effect.suspend(() => {
        if (started) return Effect.void
        started = true
        return Effect.all(
          [
            // A connection that has lasted has nothing to do with how long the one before it was tried for.
            Effect.retry(Effect.forever(connected), Schedule.resetAfter(untilItAnswers, "30 seconds")),
            Effect.repeat(Effect.delay(scanned, options.scanEvery ?? 60_000), Schedule.forever),
            released
          ].map((loop) => Effect.forkIn(loop, scope)),
          { discard: true }
        )
      })

      return {
        /** All that comes from now on, as long as the scope lasts; the first who asks starts it. */
        follow: Effect.gen(function* () {
          const mine = yield* news.subscribe
          yield* start
          return mine as Queue.Dequeue<News>
        }),
        /** Lists all of them now. */
        list: Effect.asVoid(list),
        /** By id, as they were last seen. */
        containers: Effect.sync(() => containers),
        /** As they were last seen, when nothing can have changed since but what podman has yet to tell. */
        current: Effect.gen(function* () {
          const { count, underWay } = yield* locks.moves
          return asOf === count && underWay === 0 ? Option.some(containers) : Option.none()
        }),
        /** Since the runtime is out of reach: why. */
        away: Effect.sync(() => Option.fromNullable(away))
      }
    })
}) {}
