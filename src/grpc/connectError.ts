import type { StatusObject } from "@grpc/grpc-js"
import { Code, codeName, fromTrailers, RpcError } from "./status.ts"

/** Stable reasons of calls that got no answer. */
export const Unreachable = {
  /** Refused, timed out, no route, no such name, or the connection broke. */
  node: "NODE_UNREACHABLE",
  /** The certificate is not from the authority we trust, or is out of date. */
  untrusted: "TLS_UNTRUSTED",
  /** The certificate is for another host. */
  nameMismatch: "TLS_NAME_MISMATCH",
  /** Whatever listens there speaks no TLS 1.3. */
  handshake: "TLS_FAILED"
} as const

// grpc-js keeps the cause of a failed connection in this text alone: "No connection established. Last error: …".
const causes: ReadonlyArray<readonly [RegExp, string, string]> = [
  [
    /altnames|ALTNAME_INVALID/,
    Unreachable.nameMismatch,
    "connect by a name that the certificate has, or set the server name"
  ],
  [
    /self[- ]signed|unable to (verify|get)|certificate (has expired|is not yet valid|revoked)|UNABLE_TO|SELF_SIGNED|CERT_|issuer|unsuitable certificate/i,
    Unreachable.untrusted,
    "check the CA certificate in the configuration, and the clocks"
  ],
  [
    /SSL routines|EPROTO|ERR_SSL|before secure TLS connection|ALPN/i,
    Unreachable.handshake,
    "check that the address and port are those of an MCP server"
  ]
]

const where = (text: string) => {
  const [, cause] = /Last error: (.*?)(?:\. Resolution note: .*)?$/s.exec(text) ?? []
  return (cause ?? text)
    .replace(/^Error: /, "")
    .replace(/ \(\d{4}-\d\d-\d\dT[^)]*\)/, "")
    .replace(/\s+/g, " ")
    .trim()
}

/** The error of a call that ended with another status than OK. */
export const errorOf = (address: string, { code, details, metadata }: StatusObject): RpcError => {
  const told = fromTrailers(code, details, metadata)
  if (told !== undefined) return told
  if (code !== Code.UNAVAILABLE) {
    return new RpcError({
      code,
      reason: codeName(code),
      detail: code === Code.DEADLINE_EXCEEDED ? `${address} did not answer in time` : details
    })
  }
  const [, reason, nextStep] = causes.find(([pattern]) => pattern.test(details)) ?? [
    undefined,
    Unreachable.node,
    "check that the node and its agent are up, and the address"
  ]
  return new RpcError({ code, reason, detail: `cannot reach ${address}: ${where(details)}`, nextStep })
}
