import { Clock, Effect } from "effect"
import { type AltName, authorityValidity, certificateValidity } from "../domain/Certificates.ts"
import { CertificateAuthority, CertificateUnusable } from "../services/CertificateAuthority.ts"
import { KeyFiles } from "../services/KeyFiles.ts"

export interface AuthorityFiles {
  readonly certificate: string
  readonly key: string
}

/** Where an authority lies in its folder. */
export const authorityIn = (dir: string): AuthorityFiles => ({ certificate: `${dir}/ca.pem`, key: `${dir}/ca.key` })

const PRIVATE_FOLDER = 0o700

/** Makes an authority in a folder that has none. */
export const initAuthority = Effect.fn("ca.init")(function* (wanted: {
  readonly dir: string
  readonly subject: string
}) {
  const files = yield* KeyFiles
  const validity = authorityValidity(yield* Clock.currentTimeMillis)
  const { certificate, key } = yield* (yield* CertificateAuthority).selfSigned({ subject: wanted.subject, validity })
  const to = authorityIn(wanted.dir)
  yield* files.makeFolder(wanted.dir, PRIVATE_FOLDER)
  yield* files.create([
    { file: to.key, secret: key },
    { file: to.certificate, text: certificate }
  ])
  return { ...to, notAfter: validity.notAfter }
})

/** The authority of a folder, when it can sign now. */
const loadAuthority = (dir: string) =>
  Effect.gen(function* () {
    const files = yield* KeyFiles
    const from = authorityIn(dir)
    const pair = { certificate: yield* files.read(from.certificate), key: yield* files.readKey(from.key) }
    const facts = yield* (yield* CertificateAuthority).inspect(from.certificate, pair)
    const refused = (why: string) => new CertificateUnusable({ certificate: from.certificate, why })
    const now = yield* Clock.currentTimeMillis
    if (!facts.isAuthority) return yield* refused("it is a server's certificate, and no authority's")
    if (facts.notAfter <= now) return yield* refused(`it ended on ${new Date(facts.notAfter).toISOString()}`)
    if (facts.notBefore > now) {
      return yield* refused(`it begins on ${new Date(facts.notBefore).toISOString()}, which this clock says is to come`)
    }
    return { from, pair, facts }
  })

/** Makes a key and a certificate for a server. Its file holds the whole chain, as servers want it. */
export const issueCertificate = Effect.fn("ca.issue")(function* (wanted: {
  readonly dir: string
  readonly out: string
  readonly subject: string
  readonly names: ReadonlyArray<AltName>
}) {
  const files = yield* KeyFiles
  const { facts, from, pair } = yield* loadAuthority(wanted.dir)
  const validity = certificateValidity(yield* Clock.currentTimeMillis, facts)
  const { certificate, key } = yield* (yield* CertificateAuthority).sign(pair, { ...wanted, validity })
  const to = { certificate: `${wanted.out}/${wanted.subject}.pem`, key: `${wanted.out}/${wanted.subject}.key` }
  yield* files.makeFolder(wanted.out, PRIVATE_FOLDER)
  yield* files.create([
    { file: to.key, secret: key },
    { file: to.certificate, text: certificate + pair.certificate }
  ])
  return { ...to, authority: from.certificate, notAfter: validity.notAfter }
})
