import { createPrivateKey, X509Certificate } from "node:crypto"
import { isIP } from "node:net"
import { Effect, Layer, Redacted } from "effect"
import { Certificates, type ServerCertificate } from "../services/Certificates.ts"

const parse = <A>(make: () => A): A | undefined => {
  try {
    return make()
  } catch {
    return undefined
  }
}

const problems = ({ authority, certificate, key }: ServerCertificate, host: string, now: number) => {
  const own = parse(() => new X509Certificate(certificate))
  if (own === undefined) return ["the certificate is no certificate in PEM"]
  const secret = parse(() => createPrivateKey(Redacted.value(key)))
  const ca = authority === undefined ? undefined : parse(() => new X509Certificate(authority))
  const names = isIP(host) === 0 ? own.checkHost(host) : own.checkIP(host)
  return [
    ...(secret === undefined ? ["the key is no private key in PEM"] : []),
    ...(secret !== undefined && !own.checkPrivateKey(secret) ? ["the key belongs to another certificate"] : []),
    ...(Date.parse(own.validFrom) > now ? [`the certificate is valid only from ${own.validFrom}`] : []),
    ...(Date.parse(own.validTo) <= now ? [`the certificate ended on ${own.validTo}`] : []),
    ...(names === undefined ? [`the certificate is not for ${host}; it is for ${own.subjectAltName ?? "nobody"}`] : []),
    ...(authority !== undefined && ca === undefined ? ["the CA is no certificate in PEM"] : []),
    // One that an authority between them has signed is for the client to judge.
    ...(ca !== undefined && own.issuer === ca.subject && !own.verify(ca.publicKey)
      ? ["the certificate is signed by another CA of the same name"]
      : [])
  ]
}

export const layer: Layer.Layer<Certificates> = Layer.succeed(Certificates, {
  problems: (server, host, now) => Effect.sync(() => problems(server, host, now))
})
