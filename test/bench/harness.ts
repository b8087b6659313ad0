import { Cause, Effect, type Scope } from "effect"
import { compare, type Result, type Side, sampled, type Unit } from "./statistics.ts"

/** A program that is measured. */
export interface Contender {
  readonly name: string
  /** One run, measured; what has to be made before or removed after it is not counted. */
  readonly sample: Effect.Effect<number>
}

export interface Peer {
  readonly name: string
  readonly target: number
  /** Fails, in whatever way, where it cannot be had; that is told in its place. */
  readonly make: Effect.Effect<Contender, never, Scope.Scope>
}

export interface Row {
  readonly name: string
  readonly unit: Unit
  readonly ours: Effect.Effect<Contender, never, Scope.Scope>
  readonly peers: ReadonlyArray<Peer>
}

/** How long it takes, in milliseconds. */
export const timed = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<number, E, R> =>
  Effect.suspend(() => {
    const before = performance.now()
    return Effect.map(effect, () => performance.now() - before)
  })

interface Running {
  readonly name: string
  readonly samples: Array<number>
  contender: Contender | undefined
  why: string
}

/** What broke, in one line; an interruption goes on. */
const orWhy = <A, R>(effect: Effect.Effect<A, never, R>): Effect.Effect<A | { readonly why: string }, never, R> =>
  Effect.catchAllCause(effect, (cause) =>
    Cause.isInterruptedOnly(cause)
      ? Effect.failCause(cause)
      : Effect.succeed({ why: Cause.pretty(cause).split("\n    at ")[0]?.slice(0, 400) ?? "" })
  )

const prepare = (name: string, make: Effect.Effect<Contender, never, Scope.Scope>) =>
  Effect.map(orWhy(make), (made): Running => {
    const failed = "why" in made
    return { name, samples: [], contender: failed ? undefined : made, why: failed ? made.why : "" }
  })

const runOnce = (running: Running, kept: boolean) =>
  Effect.gen(function* () {
    if (running.contender === undefined) return
    const answer = yield* orWhy(running.contender.sample)
    if (typeof answer === "number") {
      if (kept) running.samples.push(answer)
    } else {
      running.contender = undefined
      running.why = answer.why
    }
  })

const sideOf = ({ contender, name, samples, why }: Running, unit: Unit): Side =>
  contender === undefined ? { name, why } : sampled(contender.name, unit, samples)

/**
 * Runs all of a row by turns, so that what else the machine does meets each alike: once to warm up, then `rounds` times.
 * Who comes first changes with each round. What fails is left out from then on, and has no figure.
 */
export const measure = (row: Row, rounds: number): Effect.Effect<ReadonlyArray<Result>> =>
  Effect.scoped(
    Effect.gen(function* () {
      const ours = yield* prepare("mcp", row.ours)
      const peers = yield* Effect.forEach(row.peers, ({ make, name }) => prepare(name, make))
      for (let round = 0; round <= rounds && ours.contender !== undefined; round++) {
        const all = [ours, ...peers]
        const first = round % all.length
        for (const running of [...all.slice(first), ...all.slice(0, first)]) yield* runOnce(running, round > 0)
      }
      return row.peers.flatMap(({ target }, at) => {
        const peer = peers[at]
        return peer === undefined
          ? []
          : [compare(row.name, row.unit, target, sideOf(ours, row.unit), sideOf(peer, row.unit))]
      })
    })
  )
