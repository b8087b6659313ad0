import { Clock, Effect, Option, PubSub, Stream } from "effect"
import { ServiceBusy } from "./ProgramError.ts"

export interface Holder {
  readonly act: string
  /** Milliseconds since the epoch. */
  readonly since: number
  /** The agent's own short act, such as a restart: an operator's act waits for it instead of being refused. */
  readonly automatic: boolean
}

export interface LockOptions {
  /** Waits for its turn instead of being refused. */
  readonly wait?: boolean
  readonly automatic?: boolean
  /** Told whom it waits for. */
  readonly onWait?: (holder: Holder) => Effect.Effect<void>
}

class Lock {
  readonly turn = Effect.unsafeMakeSemaphore(1)
  /** Held while a container is being started beside an act that lets it serve. */
  readonly beside = Effect.unsafeMakeSemaphore(1)
  readonly serving = new Set<string>()
  holder: Holder | undefined
}

/**
 * One lock a service, over every act that changes its containers or its desired state. An act may say which containers
 * go on serving meanwhile: these the agent still restarts.
 */
export class ServiceLocks extends Effect.Service<ServiceLocks>()("mcp/ServiceLocks", {
  scoped: Effect.gen(function* () {
    const locks = new Map<string, Lock>()
    const released = yield* PubSub.unbounded<{ readonly service: string; readonly automatic: boolean }>()
    let underWay = 0
    let moves = 0
    const of = (service: string) => {
      const known = locks.get(service)
      if (known) return known
      const lock = new Lock()
      locks.set(service, lock)
      return lock
    }

    const withLock =
      (service: string, act: string, options: LockOptions = {}) =>
      <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | ServiceBusy, R> => {
        const lock = of(service)
        const automatic = options.automatic === true
        const held = Effect.acquireUseRelease(
          Effect.map(Clock.currentTimeMillis, (since) => {
            lock.holder = { act, since, automatic }
            moves += 1
            underWay += 1
          }),
          () => effect,
          () =>
            Effect.suspend(() => {
              lock.holder = undefined
              lock.serving.clear()
              moves += 1
              underWay -= 1
              return released.publish({ service, automatic })
            })
        )
        return Effect.gen(function* () {
          const now = yield* lock.turn.withPermitsIfAvailable(1)(held)
          if (Option.isSome(now)) return now.value
          const { holder } = lock
          if (holder && options.onWait && options.wait) yield* options.onWait(holder)
          if (holder && !holder.automatic && !options.wait) {
            return yield* new ServiceBusy({ service, holder: holder.act, since: holder.since })
          }
          return yield* lock.turn.withPermits(1)(held)
        })
      }

    return {
      /** Runs `effect` alone on its service; a second caller is told what is under way and since when, or waits. */
      withLock,
      /** Within an act: these containers go on serving until they are withdrawn or the act is over. */
      serve: (service: string, containers: Iterable<string>) =>
        Effect.sync(() => {
          for (const container of containers) of(service).serving.add(container)
        }),
      /** Within an act, before it stops the container: afterwards nobody starts it again. */
      withdraw: (service: string, container: string) =>
        Effect.suspend(() => {
          const lock = of(service)
          return lock.beside.withPermits(1)(Effect.sync(() => void lock.serving.delete(container)))
        }),
      /**
       * The agent's own act on one container: under the lock when it is free, beside an act that lets the container
       * serve, and otherwise not at all.
       */
      automatically:
        (service: string, container: string, act: string) =>
        <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Option.Option<A>, E | ServiceBusy, R> =>
          Effect.suspend(() => {
            const lock = of(service)
            if (lock.holder === undefined) {
              return Effect.asSome(withLock(service, act, { automatic: true })(effect)).pipe(
                Effect.catchIf(
                  (error): error is ServiceBusy => error instanceof ServiceBusy && error.service === service,
                  () => Effect.succeedNone
                )
              )
            }
            return lock.beside.withPermits(1)(
              Effect.suspend(() => (lock.serving.has(container) ? Effect.asSome(effect) : Effect.succeedNone))
            )
          }),
      /** Whether the agent may start this container now: no act is under way, or one that lets it serve. */
      lets: (service: string, container: string) =>
        Effect.sync(() => {
          const lock = locks.get(service)
          return lock?.holder === undefined || lock.serving.has(container)
        }),
      holder: (service: string) => Effect.sync(() => Option.fromNullable(locks.get(service)?.holder)),
      /** Counts the beginnings and ends of acts on all services, and those under way. */
      moves: Effect.sync(() => ({ count: moves, underWay })),
      /** Services whose lock has become free. */
      released: Stream.fromPubSub(released)
    }
  })
}) {}
