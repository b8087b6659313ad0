import "./reflectMetadata.ts"

import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto"
import * as x509 from "@peculiar/x509"
import { Effect, Layer, Redacted } from "effect"
import type { AltName, Validity } from "../domain/Certificates.ts"
import { CertificateAuthority, CertificateUnusable, type KeyPair } from "../services/CertificateAuthority.ts"

const algorithm = { name: "ECDSA", namedCurve: "P-256" } as const
const signingAlgorithm = { ...algorithm, hash: "SHA-256" }

type Key = Awaited<ReturnType<typeof crypto.subtle.importKey>>

const generate = () => crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])

/** 127 random bits: positive, and without a leading zero byte. */
const serialNumber = () => {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString("hex")
}

/** As fields, not as one text: in that a name could bring fields of its own. */
const distinguished = (subject: string) => new x509.Name([{ CN: [subject] }])

const dates = ({ notAfter, notBefore }: Validity) => ({ notBefore: new Date(notBefore), notAfter: new Date(notAfter) })

const pairOf = async (certificate: x509.X509Certificate, key: Key): Promise<KeyPair> => ({
  certificate: `${certificate.toString("pem")}\n`,
  key: Redacted.make(`${x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`)
})

const selfSigned = async (subject: string, validity: Validity) => {
  const keys = await generate()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: distinguished(subject),
    keys,
    signingAlgorithm,
    ...dates(validity),
    extensions: [
      // It signs servers, and no further authority.
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)
    ]
  })
  return pairOf(certificate, keys.privateKey)
}

const signingKeyOf = (authority: KeyPair) =>
  crypto.subtle.importKey(
    "pkcs8",
    createPrivateKey(Redacted.value(authority.key)).export({ type: "pkcs8", format: "der" }),
    algorithm,
    false,
    ["sign"]
  )

const sign = async (authority: KeyPair, subject: string, names: ReadonlyArray<AltName>, validity: Validity) => {
  const issuer = new x509.X509Certificate(authority.certificate)
  const keys = await generate()
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: distinguished(subject),
    issuer: issuer.subjectName,
    publicKey: keys.publicKey,
    signingKey: await signingKeyOf(authority),
    signingAlgorithm,
    ...dates(validity),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([...names]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey)
    ]
  })
  return pairOf(certificate, keys.privateKey)
}

const inspect = (file: string, pair: KeyPair) =>
  Effect.try({
    try: () => {
      const certificate = new X509Certificate(pair.certificate)
      const key = createPrivateKey(Redacted.value(pair.key))
      if (!certificate.checkPrivateKey(key)) throw new Error("the key beside it belongs to another certificate")
      if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1") throw new Error("its key is not of the curve P-256")
      return {
        subject: /(?:^|\n)CN=(.*)/.exec(certificate.subject)?.[1] ?? certificate.subject,
        isAuthority: certificate.ca,
        notBefore: Date.parse(certificate.validFrom),
        notAfter: Date.parse(certificate.validTo)
      }
    },
    catch: (error) =>
      new CertificateUnusable({ certificate: file, why: error instanceof Error ? error.message : String(error) })
  })

/** X.509 with ECDSA keys on P-256, which every TLS library takes. */
export const layer: Layer.Layer<CertificateAuthority> = Layer.succeed(CertificateAuthority, {
  selfSigned: ({ subject, validity }) => Effect.promise(() => selfSigned(subject, validity)),
  inspect,
  sign: (authority, { names, subject, validity }) => Effect.promise(() => sign(authority, subject, names, validity))
})
