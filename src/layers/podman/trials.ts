import { randomBytes } from "node:crypto"
import { readFile } from "node:fs/promises"
import { HttpClientRequest } from "@effect/platform"
import { Effect, Schema } from "effect"
import { TrialFailed } from "../../services/HostTrials.ts"
import { type Api, path } from "./api.ts"
import { trialImage } from "./trialImage.ts"

const { get, post, del } = HttpClientRequest

const Inspected = Schema.Struct({
  State: Schema.Struct({ Pid: Schema.Int, OOMKilled: Schema.optional(Schema.Boolean) }),
  NetworkSettings: Schema.Struct({
    Networks: Schema.optional(
      Schema.Record({ key: Schema.String, value: Schema.Struct({ IPAddress: Schema.optional(Schema.String) }) })
    )
  })
})

const LIMIT = 16 * 2 ** 20
const KILLED = 137
const MOUNTED = "/scratch"

const failed = (error: { readonly why: string }) => new TrialFailed({ why: error.why })

/** Trials on one podman. What each makes has a name of its own, and goes with it. */
export const make = (api: Api, arch: string) => {
  const call = (operation: string, request: HttpClientRequest.HttpClientRequest) =>
    Effect.mapError(api.text({ operation, request, within: "60 seconds" }), failed)
  const discard = (request: HttpClientRequest.HttpClientRequest) => () => Effect.ignore(call("clean up", request))
  const body = (to: string, content: unknown) => HttpClientRequest.bodyUnsafeJson(post(to), content)

  const image = Effect.gen(function* () {
    const files = trialImage(arch)
    if (files === undefined) return yield* new TrialFailed({ why: `there is no program to try for ${arch}` })
    const name = `localhost/mcp-check:${randomBytes(6).toString("hex")}`
    const request = post("/images/import").pipe(
      HttpClientRequest.setUrlParam("reference", name),
      HttpClientRequest.bodyUint8Array(files, "application/x-tar")
    )
    yield* Effect.acquireRelease(call("import", request), discard(del(path`/images/${name}`)))
    return name
  })

  const bridge = Effect.gen(function* () {
    const name = `mcp-check-${randomBytes(4).toString("hex")}`
    yield* Effect.acquireRelease(
      call("network", body("/networks/create", { name, driver: "bridge", dns_enabled: true })),
      discard(del(path`/networks/${name}`))
    )
    return name
  })

  const started = (own: Record<string, unknown>) =>
    Effect.gen(function* () {
      const name = `mcp-check-${randomBytes(4).toString("hex")}`
      const spec = { name, restart_policy: "no", stop_timeout: 0, log_configuration: { driver: "k8s-file" }, ...own }
      yield* Effect.acquireRelease(
        call("create", body("/containers/create", spec)),
        discard(del(path`/containers/${name}`).pipe(HttpClientRequest.setUrlParams({ force: true, timeout: 0 })))
      )
      yield* call("start", post(path`/containers/${name}/start`))
      return name
    })

  const inspect = (name: string) =>
    Effect.mapError(
      api.json({ operation: "inspect", request: get(path`/containers/${name}/json`), within: "10 seconds" }, Inspected),
      failed
    )

  const container = Effect.gen(function* () {
    const network = yield* bridge
    const name = yield* started({
      image: yield* image,
      command: ["/pause"],
      netns: { nsmode: "bridge" },
      networks: { [network]: {} },
      mounts: [{ type: "tmpfs", source: "tmpfs", destination: MOUNTED, options: ["rw", "size=65536"] }]
    })
    const { NetworkSettings, State } = yield* inspect(name)
    const address = NetworkSettings.Networks?.[network]?.IPAddress ?? ""
    if (State.Pid === 0) return yield* new TrialFailed({ why: "a container was started, and does not run" })
    if (address === "") return yield* new TrialFailed({ why: "a container runs, but has no address on its bridge" })
    const mounts = yield* Effect.promise(() => readFile(`/proc/${State.Pid}/mountinfo`, "utf8").catch(() => ""))
    const tmpfs = mounts.split("\n").some((line) => line.includes(` ${MOUNTED} `) && line.includes(" - tmpfs "))
    return { address, tmpfs }
  }).pipe(Effect.scoped)

  const memoryLimit = Effect.gen(function* () {
    const name = yield* started({
      image: yield* image,
      command: ["/hog"],
      netns: { nsmode: "none" },
      // Without swap, to which it could make way.
      resource_limits: { memory: { limit: LIMIT, swap: LIMIT } }
    })
    const exitCode = Number(yield* call("wait", post(path`/containers/${name}/wait`)))
    if (exitCode === 0) return false
    if (exitCode === KILLED) return true
    return yield* new TrialFailed({ why: `a container that only writes to memory ended with ${exitCode}` })
  }).pipe(Effect.scoped)

  return { container, memoryLimit }
}
