import { Clock, Effect } from "effect"
import { LookupsLimited } from "../services/IdentityError.ts"

const BURST = 5
const PER_SECOND = 2
const MAX_PEERS = 10_000

interface Peer {
  allowance: number
  at: number
  waiting: number
  readonly turn: Effect.Semaphore
}

/** `100.64.0.9:51234` and `[fd00::9]:51234` without the port: each connection has another. */
export const addressOf = (peer: string): string => {
  const [, v6, v4] = /^(?:\[([^\]]+)\](?::\d+)?|([^:]+):\d+)$/.exec(peer) ?? []
  return v6 ?? v4 ?? peer
}

/**
 * Runs a peer's look-ups one at a time, so that none starts before the last one's refusal has been counted, and no more
 * of them than two refused ones a second. `isRefusal` says which errors count.
 */
export const make = <E>(isRefusal: (error: E) => boolean) => {
  const peers = new Map<string, Peer>()

  const refill = (peer: Peer, now: number) => {
    peer.allowance = Math.min(BURST, peer.allowance + (Math.max(0, now - peer.at) / 1000) * PER_SECOND)
    peer.at = now
  }
  const forgetIdle = (now: number) => {
    for (const [address, peer] of peers) {
      refill(peer, now)
      if (peer.waiting === 0 && peer.allowance >= BURST) peers.delete(address)
    }
    // A flood of addresses: the oldest goes, so that memory stays bounded.
    for (const [address, peer] of peers) {
      if (peers.size < MAX_PEERS) break
      if (peer.waiting === 0) peers.delete(address)
    }
  }
  const peerOf = (address: string, now: number): Peer => {
    const known = peers.get(address)
    if (known !== undefined) return known
    if (peers.size >= MAX_PEERS) forgetIdle(now)
    const peer = { allowance: BURST, at: now, waiting: 0, turn: Effect.unsafeMakeSemaphore(1) }
    peers.set(address, peer)
    return peer
  }

  return <A, R>(address: string, lookup: Effect.Effect<A, E, R>): Effect.Effect<A, E | LookupsLimited, R> => {
    const counted = (peer: Peer) =>
      Effect.gen(function* () {
        refill(peer, yield* Clock.currentTimeMillis)
        if (peer.allowance < 1) return yield* new LookupsLimited({ peer: address })
        return yield* Effect.tapError(lookup, (error) =>
          Effect.sync(() => {
            if (isRefusal(error)) peer.allowance -= 1
          })
        )
      })
    return Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          const peer = peerOf(address, now)
          peer.waiting += 1
          return peer
        }),
        (peer) => peer.turn.withPermits(1)(counted(peer)),
        (peer) =>
          Effect.sync(() => {
            peer.waiting -= 1
          })
      )
    )
  }
}
