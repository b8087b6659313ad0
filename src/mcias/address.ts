import { lookup } from "node:dns/promises"
import { BlockList, isIP } from "node:net"
import { Effect } from "effect"
import { CannotListen } from "./Failure.ts"

export interface Address {
  readonly host: string
  readonly port: number
}

const wildcards = new BlockList()
wildcards.addAddress("0.0.0.0", "ipv4")
wildcards.addAddress("::", "ipv6")

/** `host:port` or `[v6]:port` with the host as an IP address; every way to write "all addresses" is refused. */
export const resolve = (text: string): Effect.Effect<Address, CannotListen> =>
  Effect.gen(function* () {
    const refused = (why: string) => new CannotListen({ address: text, why })
    const [, v6, name, digits] = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? []
    const host = v6 ?? name
    const port = Number(digits)
    if (host === undefined || port > 65_535) return yield* refused("expected HOST:PORT, such as 127.0.0.1:8443")
    const wildcard = refused("it means every address of the host. Name the one to listen on, such as 127.0.0.1:8443")
    if (host === "" || host === "*") return yield* wildcard
    // A name, and odd spellings such as 0 or 000.0.0.0 that the system reads as addresses.
    const address =
      isIP(host) !== 0
        ? host
        : (yield* Effect.tryPromise({
            try: () => lookup(host),
            catch: () => refused("its host name cannot be looked up")
          })).address
    // An IPv4 address inside an IPv6 one is found by the list as well.
    if (wildcards.check(address, isIP(address) === 6 ? "ipv6" : "ipv4")) return yield* wildcard
    return { host: address, port }
  })

export const show = ({ host, port }: Address): string => (isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`)
