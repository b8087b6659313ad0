import { execFile } from "node:child_process"
import { X509Certificate } from "node:crypto"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { request } from "node:https"
import { createServer } from "node:net"
import { arch, tmpdir } from "node:os"
import { join } from "node:path"
import { connect } from "node:tls"
import { HttpClientRequest } from "@effect/platform"
import { Effect, Layer, Schema, Scope } from "effect"
import { HostTrials, type ListenOn, TrialFailed } from "../services/HostTrials.ts"
import { connectionWords } from "./mciasHttp.ts"
import * as Api from "./podman/api.ts"
import * as Service from "./podman/service.ts"
import * as Trials from "./podman/trials.ts"

const codeOf = (error: unknown) => (error instanceof Error && "code" in error ? String(error.code) : "")
const whyNot = (error: unknown) =>
  connectionWords[codeOf(error)] ?? (error instanceof Error ? error.message : String(error))

const Version = Schema.Struct({ Version: Schema.String })
const failed = (error: { readonly why: string }) => new TrialFailed({ why: error.why })

/** The podman of the config's socket, or one that runs for as long as it is tried. */
const openPodman = (socket: string | undefined, command: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const version = (api: Api.Api) =>
      api
        .json({ operation: "version", request: HttpClientRequest.get("/version"), within: "10 seconds" }, Version)
        .pipe(
          Effect.catchTag("Refusal", (error) => Effect.fail(Api.asUnavailable(error))),
          Effect.map((answer) => answer.Version)
        )
    if (socket !== undefined) {
      const api = yield* Api.make(socket)
      return { api, version: yield* version(api) }
    }
    const stateDir = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "mcp-check-"))),
      (dir) => Effect.promise(() => rm(dir, { recursive: true, force: true }))
    )
    const service = yield* Service.run({ stateDir, command })
    const api = yield* Api.make(service.socketPath)
    yield* service.ready(version(api))
    return { api, version: yield* version(api) }
  }).pipe(Effect.mapError(failed))

/** Whether the one who listens there shows this certificate. */
const isOwn = ({ certificate, host, port }: ListenOn) =>
  new Promise<boolean>((resolve) => {
    if (certificate === undefined) return resolve(false)
    const own = new X509Certificate(certificate).fingerprint256
    // Whose certificate it is is all that is asked.
    const socket = connect({ host, port, rejectUnauthorized: false, ALPNProtocols: ["h2"], timeout: 3_000 }, () => {
      resolve(socket.getPeerX509Certificate()?.fingerprint256 === own)
      socket.destroy()
    })
    socket.once("error", () => resolve(false)).once("timeout", () => socket.destroy(new Error("timeout")))
  }).catch(() => false)

const listen = (on: ListenOn) =>
  Effect.tryPromise({
    try: async () => {
      const server = createServer()
      const code = await new Promise<string>((resolve) => {
        server.once("error", (error) => resolve(codeOf(error) || error.message))
        server.listen({ host: on.host, port: on.port, exclusive: true }, () => server.close(() => resolve("")))
      })
      if (code === "") return "free" as const
      if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND" || code === "EAI_AGAIN") return "absent" as const
      if (code !== "EADDRINUSE") throw new Error(code === "EACCES" ? "permission denied" : code)
      return (await isOwn(on)) ? ("agent" as const) : ("taken" as const)
    },
    catch: (error) => new TrialFailed({ why: whyNot(error) })
  })

const zstd: HostTrials["Type"]["zstd"] = Effect.async((resume) => {
  const child = execFile("zstd", ["--version"], { timeout: 10_000, env: { PATH: process.env.PATH } }, (error, said) => {
    const version = /v(\d[\d.]*)/.exec(said)?.[1]
    if (error === null && version !== undefined) resume(Effect.succeed(version))
    else
      resume(
        new TrialFailed({
          why: codeOf(error) === "ENOENT" ? "it is not installed" : `it does not run: ${whyNot(error)}`
        })
      )
  })
  return Effect.sync(() => child.kill("SIGKILL"))
})

const mcias: HostTrials["Type"]["mcias"] = ({ caCert, serverUrl }) =>
  Effect.tryPromise({
    try: async (signal) => {
      const ca = caCert === undefined ? undefined : await readFile(caCert, "utf8")
      const date = await new Promise<string | undefined>((resolve, reject) => {
        const options = { minVersion: "TLSv1.3" as const, agent: false, signal, ...(ca === undefined ? {} : { ca }) }
        request(new URL("/v1/health", serverUrl), options, (response) => {
          response.resume()
          resolve(response.headers.date)
        })
          .once("error", reject)
          .end()
      })
      const clock = Date.parse(date ?? "")
      return { clock: Number.isNaN(clock) ? undefined : clock }
    },
    catch: (error) => new TrialFailed({ why: whyNot(error) })
  }).pipe(
    Effect.timeoutFail({
      duration: "10 seconds",
      onTimeout: () => new TrialFailed({ why: "it did not answer in time" })
    })
  )

/** On this machine. podman is opened at the first trial that needs it. */
export const layer = (options: {
  readonly socket: string | undefined
  readonly command?: ReadonlyArray<string>
}): Layer.Layer<HostTrials> =>
  Layer.scoped(
    HostTrials,
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      const podman = yield* Effect.cached(
        Scope.extend(openPodman(options.socket, options.command ?? ["podman"]), scope)
      )
      const trials = Effect.map(podman, ({ api }) => Trials.make(api, arch()))
      return {
        podman: Effect.map(podman, ({ version }) => version),
        container: Effect.flatMap(trials, (t) => t.container),
        memoryLimit: Effect.flatMap(trials, (t) => t.memoryLimit),
        zstd,
        listen,
        mcias
      }
    })
  )
