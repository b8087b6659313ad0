import "../../src/layers/reflectMetadata.ts"

import type { webcrypto } from "node:crypto"
import { isIP } from "node:net"
import * as x509 from "@peculiar/x509"

const algorithm = { name: "ECDSA", namedCurve: "P-256" } as const

/** A certificate and its key in PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** An authority that tests trust. */
export interface Ca extends Certificate {
  readonly certificate: x509.X509Certificate
  readonly signingKey: webcrypto.CryptoKey
}

const generate = () => crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])

const pem = async (key: webcrypto.CryptoKey) =>
  x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")

interface Dates {
  readonly notBefore: Date
  readonly notAfter: Date
}

const validity: Dates = { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 86_400_000) }

const serial = () =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(8)))
    .toString("hex")
    .replace(/^[89a-f]/, "1")

/** A self-signed authority, good for a day when not said. */
export const makeCa = async (name = "test CA", dates: Partial<Dates> = {}): Promise<Ca> => {
  const keys = await generate()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${name}`,
    keys,
    signingAlgorithm: { ...algorithm, hash: "SHA-256" },
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true)
    ],
    ...validity,
    ...dates
  })
  return {
    certificate,
    signingKey: keys.privateKey,
    cert: certificate.toString("pem"),
    key: await pem(keys.privateKey)
  }
}

/** What a certificate is for, and when; a day from now when not said. */
export interface Subject extends Partial<Dates> {
  readonly names: ReadonlyArray<string>
}

/** A server certificate for host names and IP addresses. */
export const issue = async (
  ca: Ca,
  subject: Subject | ReadonlyArray<string> = ["127.0.0.1", "localhost"]
): Promise<Certificate> => {
  const { names, ...dates }: Subject = "names" in subject ? subject : { names: subject }
  const keys = await generate()
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: `CN=${names[0] ?? "nobody"}`,
    issuer: ca.certificate.subject,
    publicKey: keys.publicKey,
    signingKey: ca.signingKey,
    signingAlgorithm: { ...algorithm, hash: "SHA-256" },
    extensions: [
      new x509.BasicConstraintsExtension(false),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? "dns" : "ip", value }))
      )
    ],
    ...validity,
    ...dates
  })
  return { cert: certificate.toString("pem"), key: await pem(keys.privateKey) }
}
