import { isIPv6 } from "node:net"
import { Clock, Effect } from "effect"

const PER_SECOND = 10
const BURST = 10
const MAX_ADDRESSES = 10_000

/** What counts as one address: of IPv6 the /64, all of which one host may have; IPv4 in IPv6 is IPv4. */
export const addressOf = (peer: string): string => {
  const v4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(peer)?.[1]
  if (v4 !== undefined) return v4
  const plain = peer.split("%", 1)[0] ?? peer
  if (!isIPv6(plain)) return peer
  const [head = "", tail] = plain.split("::")
  const parts = head.split(":").filter((part) => part !== "")
  const rest = (tail ?? "").split(":").filter((part) => part !== "")
  while (tail !== undefined && parts.length + rest.length < 8) parts.push("0")
  const network = [...parts, ...rest].slice(0, 4).map((part) => Number.parseInt(part, 16).toString(16))
  return `${network.join(":")}::/64`
}

interface Allowance {
  readonly left: number
  readonly at: number
}

/** Ten requests a second and a burst of ten for each address; answers whether one more may go. */
export const make = () => {
  const addresses = new Map<string, Allowance>()
  const leftAt = ({ at, left }: Allowance, now: number) =>
    Math.min(BURST, left + (Math.max(0, now - at) / 1000) * PER_SECOND)

  const makeRoom = (now: number) => {
    for (const [address, entry] of addresses) if (leftAt(entry, now) >= BURST) addresses.delete(address)
    // A flood of addresses: the oldest goes, so that memory stays bounded.
    for (const address of addresses.keys()) {
      if (addresses.size < MAX_ADDRESSES) break
      addresses.delete(address)
    }
  }

  return (peer: string): Effect.Effect<boolean> =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      const address = addressOf(peer)
      const known = addresses.get(address)
      if (known === undefined && addresses.size >= MAX_ADDRESSES) makeRoom(now)
      const left = known === undefined ? BURST : leftAt(known, now)
      addresses.set(address, { left: left >= 1 ? left - 1 : left, at: now })
      return left >= 1
    })
}

export type RateLimit = ReturnType<typeof make>
