import { createPrivateKey, X509Certificate } from "node:crypto"
import { readFile } from "node:fs/promises"
import { isIP } from "node:net"
import * as tls from "node:tls"
import { type ChannelCredentials, credentials, logVerbosity, ServerCredentials, setLogVerbosity } from "@grpc/grpc-js"
import { Duration, Effect, Schedule, Schema, type Scope } from "effect"
import { CERTIFICATE_POLL_MS, FLOW_CONTROL_WINDOW } from "./limits.ts"

// grpc-js prints to stderr by itself what we report as typed errors.
if (process.env.GRPC_VERBOSITY === undefined) setLogVerbosity(logVerbosity.NONE)

// Set on each context and not by tls.DEFAULT_MIN_VERSION: that one is the whole process's, and drivers still talk to TLS 1.2 servers.
const minVersion = "TLSv1.3"

/** A certificate or key that cannot be used; `certificate` is its file, or `inline`. */
export class CertificateError extends Schema.TaggedError<CertificateError>()("CertificateError", {
  certificate: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `cannot use the certificate ${this.certificate}: ${this.problem}`
  }
}

/** PEM text, or files that are read again when they change. */
export type CertificateSource =
  | { readonly cert: string; readonly key: string }
  | { readonly certFile: string; readonly keyFile: string; readonly reloadInterval?: Duration.DurationInput }

interface Pair {
  readonly cert: string
  readonly key: string
}

const problemOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

const contextOptions = ({ cert, key }: Pair): tls.SecureContextOptions => ({ cert, key, minVersion })

// grpc-js's own credentials know no minimum version. Their base class passes any option of node:http2 on, and has the
// hook for replacing a certificate.
class Tls13ServerCredentials extends ServerCredentials {
  constructor(pair: Pair, maxConcurrentStreams: number) {
    super({ settings: { maxConcurrentStreams, initialWindowSize: FLOW_CONTROL_WINDOW } }, contextOptions(pair))
  }
  replace(pair: Pair) {
    this.updateSecureContextOptions(contextOptions(pair))
  }
  _equals(other: ServerCredentials): boolean {
    return this === other
  }
}

const checked = (name: string, pair: Pair): Effect.Effect<Pair, CertificateError> =>
  Effect.try({
    try: () => {
      if (!new X509Certificate(pair.cert).checkPrivateKey(createPrivateKey(pair.key))) {
        throw new Error("the key does not belong to it")
      }
      tls.createSecureContext(contextOptions(pair))
      return pair
    },
    catch: (error) => new CertificateError({ certificate: name, problem: problemOf(error) })
  })

const read = (file: string) =>
  Effect.tryPromise({
    try: (signal) => readFile(file, { encoding: "utf8", signal }),
    catch: (error) => new CertificateError({ certificate: file, problem: problemOf(error) })
  })

/** Server credentials, TLS 1.3 only. A changed pair that does not fit together is logged and the old one kept. */
export const serverCredentials = (
  source: CertificateSource,
  maxConcurrentStreams: number
): Effect.Effect<ServerCredentials, CertificateError, Scope.Scope> =>
  Effect.gen(function* () {
    if (!("certFile" in source))
      return new Tls13ServerCredentials(yield* checked("inline", source), maxConcurrentStreams)
    const load = Effect.all({ cert: read(source.certFile), key: read(source.keyFile) })
    const loaded = yield* load
    const live = new Tls13ServerCredentials(yield* checked(source.certFile, loaded), maxConcurrentStreams)
    let seen = loaded.cert + loaded.key
    const reload = Effect.gen(function* () {
      const next = yield* load
      if (next.cert + next.key === seen) return
      seen = next.cert + next.key
      live.replace(yield* checked(source.certFile, next))
      yield* Effect.logInfo("certificate replaced")
    }).pipe(
      Effect.catchAll((error) => Effect.logWarning("certificate kept: the new one cannot be used", error)),
      Effect.annotateLogs({ certificate: source.certFile })
    )
    const interval = Duration.decode(source.reloadInterval ?? CERTIFICATE_POLL_MS)
    yield* reload.pipe(Effect.delay(interval), Effect.repeat(Schedule.forever), Effect.forkScoped)
    return live
  })

/** How a client knows its server. */
export interface ClientTls {
  /** Authorities in PEM; Node's own list when absent. */
  readonly caCert?: string
  /** The name the certificate must carry when it is not the host of the address. */
  readonly serverName?: string
}

/** Client credentials, TLS 1.3 only, with the name to ask for in the handshake. */
export const clientCredentials = (
  host: string,
  { caCert, serverName }: ClientTls
): Effect.Effect<{ readonly credentials: ChannelCredentials; readonly sni: string }, CertificateError> =>
  Effect.try({
    try: () => {
      if (caCert !== undefined) new X509Certificate(caCert)
      const context = tls.createSecureContext({ minVersion, ...(caCert === undefined ? {} : { ca: caCert }) })
      const expected = serverName ?? host
      return {
        credentials: credentials.createFromSecureContext(context, {
          checkServerIdentity: (_host, certificate) => tls.checkServerIdentity(expected, certificate)
        }),
        // An address is no server name (RFC 6066), and Node prints a deprecation warning for one.
        sni: isIP(expected) === 0 ? expected : "node.invalid"
      }
    },
    catch: (error) => new CertificateError({ certificate: "of the authority", problem: problemOf(error) })
  })
