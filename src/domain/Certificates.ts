import { isIP, isIPv4 } from "node:net"
import { Either, Schema } from "effect"

const nameForm = /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/i

/** What a certificate is called: its subject, and the name of its files. The authority's own files are `ca.*`. */
export const CertificateName = Schema.String.pipe(
  Schema.filter((name) => nameForm.test(name) && !name.includes("..") && name.toLowerCase() !== "ca", {
    message: () =>
      'a name for a certificate: 1 to 63 letters, digits, "-" and ".", with a letter or digit first and last; not "ca"'
  })
)
export type CertificateName = typeof CertificateName.Type

/** The subject of an authority: words for people, which X.509 limits to 64 characters. */
export const AuthorityName = Schema.String.pipe(
  Schema.filter(
    (name) => /^(?![#-])[^\p{C}\s"\\](?:[^\p{C}"\\]*[^\p{C}\s"\\])?$/u.test(name) && [...name].length <= 64,
    {
      message: () => 'a name of 1 to 64 printable characters without " and \\, that does not start with -, # or a space'
    }
  )
)

export interface AltName {
  readonly type: "dns" | "ip"
  readonly value: string
}

const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** IPv6 in the one spelling that is compared with. */
const ofIp = (text: string): string => (isIPv4(text) ? text : new URL(`http://[${text}]`).hostname.slice(1, -1))

const dnsProblem = (host: string): string | undefined => {
  if (/^(?:\[.*\]|[^:]+):\d+$/.test(host)) return "a certificate is for a host, whatever the port: leave the port out"
  if (host.includes("://")) return "it is a URL: name the host alone"
  if (host.includes("*")) return "a wildcard is not issued: name each host"
  const labels = host.split(".")
  if (labels.every((part) => /^(?:\d+|0x[0-9a-f]*)$/.test(part))) return "it looks like an IP address, but is none"
  if (host.length > 253 || !labels.every((part) => label.test(part)))
    return "it is neither a host name nor an IP address"
  return undefined
}

/** A host name or an IP address by its form; on the left why it is neither. */
export const parseAltName = (text: string): Either.Either<AltName, string> => {
  if (isIP(text) !== 0) {
    if (text.includes("%")) return Either.left("an address with a zone has a meaning on one host only")
    const value = ofIp(text)
    return value === "0.0.0.0" || value === "::"
      ? Either.left("it means every address: name the one that is connected to")
      : Either.right({ type: "ip", value })
  }
  const host = text.toLowerCase().replace(/\.$/, "")
  const problem = dnsProblem(host)
  return problem === undefined ? Either.right({ type: "dns", value: host }) : Either.left(problem)
}

export const Address = Schema.String.pipe(
  Schema.filter((text) => {
    const parsed = parseAltName(text)
    return Either.isRight(parsed) || `${JSON.stringify(text)} cannot be in a certificate: ${parsed.left}`
  })
)

/** Each once, in the order given. */
export const altNames = (addresses: ReadonlyArray<string>): ReadonlyArray<AltName> => {
  const parsed = addresses.flatMap((text) =>
    Either.match(parseAltName(text), { onLeft: () => [], onRight: (n) => [n] })
  )
  return parsed.filter(({ value }, i) => parsed.findIndex((other) => other.value === value) === i)
}

const DAY = 86_400_000

export const lifetimes = {
  /** Replacing an authority means going to every machine that trusts it. */
  authority: 3650 * DAY,
  /** The longest that common TLS clients take. */
  certificate: 825 * DAY,
  /** Clocks that are behind ours are still to accept it. */
  backdated: 3_600_000
} as const

export interface Validity {
  readonly notBefore: number
  readonly notAfter: number
}

export const authorityValidity = (now: number): Validity => ({
  notBefore: now - lifetimes.backdated,
  notAfter: now + lifetimes.authority
})

/** A certificate is never valid when its authority is not. */
export const certificateValidity = (now: number, authority: Validity): Validity => ({
  notBefore: Math.max(now - lifetimes.backdated, authority.notBefore),
  notAfter: Math.min(now + lifetimes.certificate, authority.notAfter)
})
