import { Cause, Context, Effect, Exit, Layer, Ref, type Stream } from "effect"
import { ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import { Proxy } from "../../src/services/Proxy.ts"
import { Registry } from "../../src/services/Registry.ts"
import { SecretFiles } from "../../src/services/SecretFiles.ts"
import { ServiceData } from "../../src/services/ServiceData.ts"
import { SnapshotStore } from "../../src/services/SnapshotStore.ts"

/** The agent is gone, at this call; whatever it still tries fails the same way. */
class Killed extends Error {}

/** Counts down the calls that change something, and kills the agent before or after the one that it is set to. */
export class Fuse extends Context.Tag("test/Fuse")<
  Fuse,
  {
    /** Before the `call`th changing call from now on, or right after it. */
    readonly set: (call: number, after: boolean) => Effect.Effect<void>
    readonly off: Effect.Effect<void>
  }
>() {}

interface Set {
  left: number
  after: boolean
  blown: boolean
}

const guarded = <A, E, R>(fuse: Ref.Ref<Set | undefined>, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const set = yield* Ref.get(fuse)
    if (set === undefined) return yield* effect
    if (set.blown) return yield* Effect.die(new Killed())
    set.left -= 1
    if (set.left > 0) return yield* effect
    set.blown = true
    if (!set.after) return yield* Effect.die(new Killed())
    yield* Effect.exit(effect)
    return yield* Effect.die(new Killed())
  })

const wrap = <S extends object>(service: S, fuse: Ref.Ref<Set | undefined>): S =>
  Object.fromEntries(
    Object.entries(service).map(([key, value]) => {
      if (Effect.isEffect(value)) return [key, guarded(fuse, value as Effect.Effect<unknown>)]
      if (typeof value !== "function" || key === "logs" || key === "pull") return [key, value]
      return [
        key,
        (...args: ReadonlyArray<unknown>) => {
          const result = value(...args)
          return Effect.isEffect(result)
            ? guarded(fuse, result as Effect.Effect<unknown>)
            : (result as Stream.Stream<unknown>)
        }
      ]
    })
  ) as S

/** The same node, whose agent can be killed between any two calls to the runtime, the registry, the proxy, the files of secrets and services' data. */
export const fused = <E, R>(
  node: Layer.Layer<ContainerRuntime | Registry | Proxy | SecretFiles | ServiceData | SnapshotStore | R, E>
) => {
  const fuse = Ref.unsafeMake<Set | undefined>(undefined)
  const wrapped = Layer.effectContext(
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const registry = yield* Registry
      const proxy = yield* Proxy
      return Context.make(ContainerRuntime, wrap(runtime, fuse)).pipe(
        Context.add(Registry, wrap(registry, fuse)),
        Context.add(Proxy, wrap(proxy, fuse)),
        Context.add(SecretFiles, wrap(yield* SecretFiles, fuse)),
        Context.add(ServiceData, wrap(yield* ServiceData, fuse)),
        Context.add(SnapshotStore, wrap(yield* SnapshotStore, fuse)),
        Context.add(Fuse, {
          set: (left, after) => Ref.set(fuse, { left, after, blown: false }),
          off: Ref.set(fuse, undefined)
        })
      )
    })
  )
  return Layer.provideMerge(wrapped, node)
}

/** Whether the agent was killed on the way. */
export const wasKilled = <A, E>(exit: Exit.Exit<A, E>): boolean =>
  Exit.isFailure(exit) && [...Cause.defects(exit.cause)].some((defect) => defect instanceof Killed)
