import { isIPv4, isIPv6 } from "node:net"
import { ParseResult, Schema } from "effect"
import * as Image from "./Image.ts"

/* The texts with a form of their own in definitions and configs. Each canonical form is read back as itself. */

const durationUnits = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const durationForm = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/
const durationExpected = 'a duration such as "500ms", "10s", "1m30s" or "2h"'

const parseDuration = (text: string): number | undefined => {
  if (!durationForm.test(text)) return undefined
  let total = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    total += Number(amount) * durationUnits[unit as keyof typeof durationUnits]
  }
  return Number.isSafeInteger(Math.round(total)) ? Math.round(total) : undefined
}

export const formatDuration = (millis: number): string => {
  for (const unit of ["d", "h", "m", "s"] as const) {
    if (millis > 0 && millis % durationUnits[unit] === 0) return `${millis / durationUnits[unit]}${unit}`
  }
  return `${millis}ms`
}

const Millis = Schema.Int.pipe(
  Schema.between(0, 10 * 365 * 86_400_000, { message: () => "a duration of at most 3650d" })
)

/** Milliseconds, written as a duration text. */
export const DurationMillis = Schema.transformOrFail(
  Schema.String.annotations({ message: () => durationExpected }),
  Millis,
  {
    strict: true,
    decode: (text, _, ast) => {
      const millis = parseDuration(text)
      return millis === undefined
        ? ParseResult.fail(new ParseResult.Type(ast, text, durationExpected))
        : ParseResult.succeed(millis)
    },
    encode: (millis) => ParseResult.succeed(formatDuration(millis))
  }
)

const sizeUnits = { k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 } as const
export const formatSize = (bytes: number): string => {
  for (const unit of ["t", "g", "m", "k"] as const) {
    if (bytes % sizeUnits[unit] === 0) return `${bytes / sizeUnits[unit]}${unit}`
  }
  return `${bytes}b`
}
const sizeExpected = 'a size such as "512m" or "2g", at least "4m"'

/** Bytes, written as a number with the unit b, k, m, g or t (powers of 1024). */
export const ByteSize = Schema.transformOrFail(
  Schema.String.annotations({ message: () => sizeExpected }),
  Schema.Int.pipe(Schema.between(4 * 1024 ** 2, 1024 ** 5)),
  {
    strict: true,
    decode: (text, _, ast) => {
      const match = /^(\d+(?:\.\d+)?)(b|[kmgt]i?b?)?$/i.exec(text)
      const unit = match?.[2]?.[0]?.toLowerCase() ?? "b"
      const bytes = match
        ? Math.round(Number(match[1]) * (unit === "b" ? 1 : sizeUnits[unit as keyof typeof sizeUnits]))
        : 0
      return Number.isSafeInteger(bytes) && bytes >= 4 * 1024 ** 2 && bytes <= 1024 ** 5
        ? ParseResult.succeed(bytes)
        : ParseResult.fail(new ParseResult.Type(ast, text, sizeExpected))
    },
    encode: (bytes) => ParseResult.succeed(formatSize(bytes))
  }
)

/** no, on-failure, on-failure:N, unless-stopped, always. */
export const RestartPolicy = Schema.String.pipe(
  Schema.pattern(/^(no|always|unless-stopped|on-failure(:[1-9]\d{0,5})?)$/, {
    message: () => 'one of "no", "on-failure", "on-failure:N", "unless-stopped", "always"'
  })
)
export type RestartPolicy = typeof RestartPolicy.Type

export interface Port {
  readonly ip: string | undefined
  readonly host: number
  readonly container: number
  readonly protocol: "tcp" | "udp"
}

const portForm = /^(?:(\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]):)?(\d{1,5}):(\d{1,5})(?:\/(tcp|udp))?$/

/** Reads `[ip:]host:container[/udp]`; undefined when it has not that form. */
export const parsePort = (text: string): Port | undefined => {
  const match = portForm.exec(text)
  if (!match) return undefined
  const [, ip, host, container, protocol] = match
  const inRange = (n: number) => n >= 1 && n <= 65535
  if (!inRange(Number(host)) || !inRange(Number(container))) return undefined
  const address = ip?.replace(/^\[|\]$/g, "")
  if (address !== undefined && !isIPv4(address) && !isIPv6(address)) return undefined
  return {
    // One spelling each, so that equal addresses are equal texts.
    ip: address?.includes(":") ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address,
    host: Number(host),
    container: Number(container),
    protocol: protocol === "udp" ? "udp" : "tcp"
  }
}

export const formatPort = (port: Port): string => {
  const ip = port.ip === undefined ? "" : port.ip.includes(":") ? `[${port.ip}]:` : `${port.ip}:`
  return `${ip}${port.host}:${port.container}${port.protocol === "udp" ? "/udp" : ""}`
}

const canonical = (expected: string, normalize: (text: string) => string | undefined) =>
  Schema.transformOrFail(
    Schema.String.annotations({ message: () => expected }),
    Schema.String.pipe(Schema.filter((text) => normalize(text) === text, { message: () => expected })),
    {
      strict: true,
      decode: (text, _, ast) => {
        const normal = normalize(text)
        return normal === undefined
          ? ParseResult.fail(new ParseResult.Type(ast, text, expected))
          : ParseResult.succeed(normal)
      },
      encode: (text) => ParseResult.succeed(text)
    }
  )

/** A fixed port, passed through unchanged: `[ip:]host:container[/udp]`. */
export const PortMapping = canonical("[ip:]host:container[/udp], ports 1 to 65535", (text) => {
  const port = parsePort(text)
  return port && formatPort(port)
}).annotations({
  arbitrary: () => (fc) =>
    fc
      .record({
        ip: fc.constantFrom(undefined, "127.0.0.1", "10.1.2.3", "::1"),
        host: fc.integer({ min: 1, max: 65535 }),
        container: fc.integer({ min: 1, max: 65535 }),
        protocol: fc.constantFrom("tcp" as const, "udp" as const)
      })
      .map(formatPort)
})

export interface Volume {
  /** An absolute path on the node, or the name of a podman volume. */
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
}

/** Reads `source:target[:ro|rw]`; undefined when it has not that form. */
export const parseVolume = (text: string): Volume | undefined => {
  const [source, target, option, ...rest] = text.split(":")
  if (source === undefined || target === undefined || rest.length > 0) return undefined
  if (option !== undefined && option !== "ro" && option !== "rw") return undefined
  const plain = (path: string) => path.startsWith("/") && !/\0|\/\.\.?(\/|$)/.test(path)
  const clean = (path: string) => path.replace(/\/+/g, "/").replace(/(.)\/$/, "$1")
  if (!plain(source) && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(source)) return undefined
  if (!plain(target) || clean(target) === "/") return undefined
  return { source: source.startsWith("/") ? clean(source) : source, target: clean(target), readOnly: option === "ro" }
}

export const formatVolume = (volume: Volume): string =>
  `${volume.source}:${volume.target}${volume.readOnly ? ":ro" : ""}`

export const VolumeMount = canonical(
  "source:target[:ro], both absolute and without . or .. (source may name a volume)",
  (text) => {
    const volume = parseVolume(text)
    return volume && formatVolume(volume)
  }
).annotations({
  arbitrary: () => (fc) =>
    fc
      .record({
        source: fc.constantFrom("/srv/a", "/srv/a/b.d", "data", "/"),
        target: fc.constantFrom("/data", "/srv/x/y", "/etc/app.toml"),
        readOnly: fc.boolean()
      })
      .map(formatVolume)
})

/** An image reference, resolved: `nginx` is read as `docker.io/library/nginx`. */
export const ImageReference = canonical("an image reference such as registry.example/app:v1", (text) => {
  const image = Image.parse(text)
  return image && Image.format(image)
}).annotations({
  arbitrary: () => (fc) =>
    fc
      .record({
        registry: fc.constantFrom("docker.io", "localhost", "mcr.example:8443"),
        repository: fc.constantFrom("library/nginx", "a/b", "team/app_x"),
        tag: fc.constantFrom(undefined, "v1.3.0", "latest"),
        digest: fc.constantFrom(undefined, `sha256:${"ab".repeat(32)}`)
      })
      .map(Image.format)
})
