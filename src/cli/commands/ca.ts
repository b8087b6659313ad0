import { Args, Command, Options } from "@effect/cli"
import { Effect, Option, Schema } from "effect"
import { Address, AuthorityName, altNames, CertificateName } from "../../domain/Certificates.ts"
import { initAuthority, issueCertificate } from "../../programs/ca.ts"
import { absolute, caFolder, dirOption } from "../caFolder.ts"
import { quoted } from "../errors.ts"
import * as Json from "../json.ts"
import { answer } from "../output.ts"
import { stamp } from "../time.ts"

const subject = Options.text("name").pipe(
  Options.withSchema(AuthorityName),
  Options.withPseudoName("NAME"),
  Options.withDefault("MCP CA"),
  Options.withDescription("what the CA is called in its certificates")
)

/** Only what is not usual has to be typed. */
const dirWords = (dir: Option.Option<string>) =>
  Option.match(dir, { onNone: () => "", onSome: (d) => ` --dir ${quoted(d)}` })

const init = Command.make(
  "init",
  { dir: dirOption, subject },
  Effect.fn("cli.ca.init")(function* ({ dir, subject }) {
    const made = yield* initAuthority({ dir: yield* caFolder(dir), subject })
    const value = { name: subject, certificate: made.certificate, key: made.key, expires_at: new Date(made.notAfter) }
    yield* answer(Json.CaMade, value, () => [
      `made the CA ${subject}, good until ${stamp(value.expires_at)}`,
      `  certificate  ${made.certificate}   give it to every machine that is to trust the CA`,
      `  key          ${made.key}   keep it here, and a copy offline: who has it can pose as any node`,
      `next: mcp ca issue NODE --address ADDRESS${dirWords(dir)}`
    ])
  })
).pipe(Command.withDescription("Make a private CA"))

const address = Options.text("address").pipe(
  Options.withAlias("a"),
  Options.withPseudoName("ADDRESS"),
  Options.atLeast(1),
  Options.withSchema(Schema.mutable(Schema.NonEmptyArray(Address))),
  Options.withDescription("of the server: host name or IP; may be repeated")
)
const out = Options.text("out").pipe(
  Options.withPseudoName("DIR"),
  Options.optional,
  Options.withDescription("where to write it; by default issued/ in --dir")
)

const issue = Command.make(
  "issue",
  { name: Args.text({ name: "name" }).pipe(Args.withSchema(CertificateName)), address, dir: dirOption, out },
  Effect.fn("cli.ca.issue")(function* ({ address, dir, name, out }) {
    const authority = yield* caFolder(dir)
    const names = altNames(address)
    const made = yield* issueCertificate({
      dir: authority,
      out: absolute(Option.getOrElse(out, () => `${authority}/issued`)),
      subject: name,
      names
    })
    const value = {
      name,
      addresses: names.map((n) => n.value),
      certificate: made.certificate,
      key: made.key,
      ca_cert: made.authority,
      expires_at: new Date(made.notAfter)
    }
    yield* answer(Json.CaIssued, value, () => [
      `issued a certificate for ${value.addresses.join(", ")}, good until ${stamp(value.expires_at)}`,
      `  certificate  ${made.certificate}   with its whole chain`,
      `  key          ${made.key}`,
      `  CA           ${made.authority}`,
      "next: copy these three to the node, and run there:",
      `  mcp-agent init --node ${name.toLowerCase()} --address ${hostPort(names[0]?.value ?? "ADDRESS")} --mcias https://HOST:8443 \\`,
      `    --cert ${name}.pem --key ${name}.key --ca ca.pem`
    ])
  })
).pipe(Command.withDescription("Issue a server certificate"))

const hostPort = (host: string) => `${host.includes(":") ? `[${host}]` : host}:9444`

export const ca = Command.make("ca").pipe(
  Command.withDescription("A private CA for those who have none"),
  Command.withSubcommands([init, issue])
)
