import { HttpClientRequest } from "@effect/platform"
import { Effect, Schema, Stream } from "effect"
import { formatPort, parsePort, parseVolume } from "../../domain/Scalars.ts"
import { Container, type ContainerRuntime, type NewContainer, RuntimeState } from "../../services/ContainerRuntime.ts"
import {
  ContainerNameInUse,
  ContainerNotFound,
  ImageNotFound,
  PortInUse,
  RuntimeRefused
} from "../../services/RuntimeError.ts"
import { type Api, asUnavailable, mapRefusal, path, type Refusal } from "./api.ts"
import { decodeCut, logLines, output } from "./frames.ts"
import { isPortTaken, plain } from "./words.ts"

const { get, post, del } = HttpClientRequest

const states: Readonly<Record<string, RuntimeState>> = {
  configured: "created",
  initialized: "created",
  stopped: "exited"
}
const stateOf = (state: string): RuntimeState => (Schema.is(RuntimeState)(state) ? state : (states[state] ?? "unknown"))

/** Go's zero time, in each of its forms, is no time. */
const millis = (at: number) => (at > 0 ? at : undefined)

const Labels = Schema.NullOr(Schema.Record({ key: Schema.String, value: Schema.String }))

const ListedPort = Schema.Struct({
  host_ip: Schema.optional(Schema.String),
  host_port: Schema.Number,
  container_port: Schema.Number,
  range: Schema.optional(Schema.Number),
  protocol: Schema.optional(Schema.String)
})

const Listed = Schema.Array(
  Schema.Struct({
    Id: Schema.String,
    Names: Schema.Array(Schema.String),
    Image: Schema.String,
    ImageID: Schema.String,
    State: Schema.String,
    ExitCode: Schema.Number,
    StartedAt: Schema.Number,
    ExitedAt: Schema.Number,
    Labels,
    Ports: Schema.NullOr(Schema.Array(ListedPort))
  })
)

const Inspected = Schema.Struct({
  Id: Schema.String,
  Name: Schema.String,
  Image: Schema.String,
  ImageName: Schema.String,
  State: Schema.Struct({
    Status: Schema.String,
    ExitCode: Schema.Number,
    StartedAt: Schema.String,
    FinishedAt: Schema.String
  }),
  Config: Schema.Struct({ Labels }),
  HostConfig: Schema.Struct({
    PortBindings: Schema.NullOr(
      Schema.Record({
        key: Schema.String,
        value: Schema.NullOr(Schema.Array(Schema.Struct({ HostIp: Schema.String, HostPort: Schema.String })))
      })
    )
  })
})

const port = (ip: string | undefined, host: number, container: number, protocol: string | undefined) =>
  formatPort({ ip: ip || undefined, host, container, protocol: protocol === "udp" ? "udp" : "tcp" })

const container = (facts: {
  readonly id: string
  readonly containerName: string
  readonly image: string
  readonly imageId: string
  readonly state: string
  readonly exitCode: number
  readonly startedAt: number
  readonly finishedAt: number
  readonly labels: Readonly<Record<string, string>> | null
  readonly ports: ReadonlyArray<string>
}) => {
  const state = stateOf(facts.state)
  const started = millis(facts.startedAt)
  const finished = state === "running" ? undefined : millis(facts.finishedAt)
  return new Container({
    id: facts.id,
    containerName: facts.containerName,
    image: facts.image,
    imageId: facts.imageId,
    state,
    labels: facts.labels ?? {},
    ports: facts.ports.toSorted(),
    ...(state === "exited" ? { exitCode: facts.exitCode } : {}),
    ...(started === undefined ? {} : { startedAt: started }),
    ...(finished === undefined ? {} : { finishedAt: finished })
  })
}

const listed = (one: (typeof Listed.Type)[number]) =>
  container({
    id: one.Id,
    containerName: one.Names[0] ?? one.Id,
    image: one.Image,
    imageId: one.ImageID,
    state: one.State,
    exitCode: one.ExitCode,
    startedAt: one.StartedAt * 1000,
    finishedAt: one.ExitedAt * 1000,
    labels: one.Labels,
    // Neighbouring ports come as one range.
    ports: (one.Ports ?? []).flatMap((p) =>
      Array.from({ length: p.range ?? 1 }, (_, i) => port(p.host_ip, p.host_port + i, p.container_port + i, p.protocol))
    )
  })

const inspected = (one: typeof Inspected.Type) =>
  container({
    id: one.Id,
    containerName: one.Name,
    image: one.ImageName,
    imageId: one.Image,
    state: one.State.Status,
    exitCode: one.State.ExitCode,
    startedAt: Date.parse(one.State.StartedAt),
    finishedAt: Date.parse(one.State.FinishedAt),
    labels: one.Config.Labels,
    ports: Object.entries(one.HostConfig.PortBindings ?? {}).flatMap(([key, bindings]) => {
      const [inside, protocol] = key.split("/")
      return (bindings ?? []).map((b) => port(b.HostIp, Number(b.HostPort), Number(inside), protocol))
    })
  })

/** The body of a create, as podman's SpecGenerator reads it. */
export const spec = (wanted: NewContainer) => {
  const volumes = wanted.volumes.flatMap((text) => parseVolume(text) ?? [])
  const ports = wanted.ports.flatMap((text) => parsePort(text) ?? [])
  const { to, aliases } = wanted.network
  const period = 100_000
  return {
    name: wanted.containerName,
    image: wanted.image,
    labels: wanted.labels,
    env: wanted.env,
    ...(wanted.cmd.length > 0 ? { command: wanted.cmd } : {}),
    ...(wanted.entrypoint.length > 0 ? { entrypoint: wanted.entrypoint } : {}),
    ...(wanted.user === undefined ? {} : { user: wanted.user }),
    ...(to === "host" || to === "none"
      ? { netns: { nsmode: to } }
      : { netns: { nsmode: "bridge" }, networks: { [to]: { aliases } } }),
    portmappings: ports.map((p) => ({
      host_ip: p.ip ?? "",
      host_port: p.host,
      container_port: p.container,
      protocol: p.protocol
    })),
    mounts: volumes
      .filter(({ source }) => source.startsWith("/"))
      .map(({ source, target, readOnly }) => ({
        type: "bind",
        source,
        destination: target,
        options: [readOnly ? "ro" : "rw", "rbind"]
      })),
    volumes: volumes
      .filter(({ source }) => !source.startsWith("/"))
      .map(({ source, target, readOnly }) => ({ Name: source, Dest: target, Options: [readOnly ? "ro" : "rw"] })),
    resource_limits: {
      ...(wanted.memory === undefined ? {} : { memory: { limit: wanted.memory } }),
      ...(wanted.cpus === undefined ? {} : { cpu: { quota: Math.round(wanted.cpus * period), period } })
    },
    restart_policy: "no",
    stop_timeout: wanted.stopTimeoutSeconds,
    log_configuration: { driver: "k8s-file" }
  }
}

const refused = (operation: string, subject: string) => (error: Refusal) =>
  new RuntimeRefused({ operation, subject, why: error.why })

const isNameTaken = (error: Refusal) =>
  error.reason === "that name is already in use" || error.reason === "container already exists"

/** Names the container that is missing, and leaves other refusals to `otherwise`. */
const orMissing =
  <E>(name: string, otherwise: (error: Refusal) => E) =>
  (error: Refusal): E | ContainerNotFound =>
    error.status === 404 || error.reason === "no such container"
      ? new ContainerNotFound({ container: name })
      : otherwise(error)

const Created = Schema.Struct({ Id: Schema.String })

export const make = (api: Api) => {
  const raw = (name: string) =>
    api.json({ operation: "inspect", request: get(path`/containers/${name}/json`), within: "10 seconds" }, Inspected)

  const inspect = (name: string) =>
    raw(name).pipe(
      Effect.filterOrFail(
        (one) => one.Name === name || (name.length >= 12 && one.Id.startsWith(name)),
        () => new ContainerNotFound({ container: name })
      ),
      Effect.map(inspected),
      mapRefusal(orMissing(name, asUnavailable))
    )

  /**
   * podman takes the start of any id for the container, so a container "db" that is gone would be another one whose
   * id begins with db. Names that could be such a start are looked up first.
   */
  const exactly = (name: string) =>
    /^[0-9a-f]{1,63}$/.test(name) ? Effect.map(inspect(name), ({ id }) => id) : Effect.succeed(name)

  const create = (wanted: NewContainer) => {
    const body = HttpClientRequest.bodyUnsafeJson(post("/containers/create"), spec(wanted))
    return api.json({ operation: "create", request: body, within: "30 seconds" }, Created).pipe(
      Effect.map(({ Id }) => Id),
      mapRefusal((error) =>
        isNameTaken(error)
          ? new ContainerNameInUse({ container: wanted.containerName })
          : error.reason === "image not known"
            ? new ImageNotFound({ image: wanted.image })
            : refused("create", wanted.containerName)(error)
      )
    )
  }

  const start = (name: string) =>
    Effect.flatMap(exactly(name), (id) =>
      api.text({ operation: "start", request: post(path`/containers/${id}/start`), within: "60 seconds" })
    ).pipe(
      Effect.asVoid,
      mapRefusal((error) =>
        isPortTaken(error.detail)
          ? new PortInUse({ container: name, why: error.why })
          : orMissing(name, refused("start", name))(error)
      )
    )

  const stop = (name: string, timeoutMs: number) =>
    Effect.flatMap(exactly(name), (id) =>
      api.text({
        operation: "stop",
        request: post(path`/containers/${id}/stop`).pipe(
          HttpClientRequest.setUrlParam("timeout", String(Math.ceil(timeoutMs / 1000)))
        ),
        within: timeoutMs + 15_000
      })
    ).pipe(Effect.asVoid, mapRefusal(orMissing(name, asUnavailable)))

  const remove = (name: string) =>
    Effect.flatMap(exactly(name), (id) =>
      api.text({
        operation: "remove",
        request: del(path`/containers/${id}`).pipe(HttpClientRequest.setUrlParam("force", "true")),
        within: "60 seconds"
      })
    ).pipe(
      Effect.asVoid,
      mapRefusal(orMissing(name, refused("remove", name))),
      Effect.catchTag("ContainerNotFound", () => Effect.void)
    )

  const rename = (name: string, to: string) =>
    Effect.flatMap(exactly(name), (id) =>
      api.text({
        operation: "rename",
        request: post(path`/containers/${id}/rename`).pipe(HttpClientRequest.setUrlParam("name", to)),
        within: "10 seconds"
      })
    ).pipe(
      Effect.asVoid,
      mapRefusal((error) =>
        isNameTaken(error) ? new ContainerNameInUse({ container: to }) : orMissing(name, asUnavailable)(error)
      )
    )

  const wait = (name: string) =>
    Effect.flatMap(exactly(name), (id) =>
      api.json(
        {
          operation: "wait",
          request: post(path`/containers/${id}/wait`).pipe(HttpClientRequest.setUrlParam("condition", "stopped"))
        },
        Schema.Number
      )
    ).pipe(mapRefusal(orMissing(name, asUnavailable)))

  const logs: ContainerRuntime["Type"]["logs"] = (name, { follow, tail, since }) =>
    Stream.unwrap(
      Effect.map(exactly(name), (id) =>
        logLines(
          api.bytes({
            operation: "logs",
            request: get(path`/containers/${id}/logs`).pipe(
              HttpClientRequest.setUrlParams({
                stdout: true,
                stderr: true,
                timestamps: true,
                follow,
                tail,
                since: since === undefined ? undefined : (since / 1000).toFixed(3)
              })
            )
          })
        )
      )
    ).pipe(Stream.mapError((error) => (error._tag === "Refusal" ? orMissing(name, asUnavailable)(error) : error)))

  return { list: list(api), inspect, create, start, stop, remove, rename, wait, logs, exec: exec(api, exactly) }
}

const list = (api: Api) =>
  api
    .json(
      {
        operation: "list",
        request: HttpClientRequest.setUrlParam(get("/containers/json"), "all", "true"),
        within: "10 seconds"
      },
      Listed
    )
    .pipe(
      Effect.map((all) => all.map(listed)),
      mapRefusal(asUnavailable)
    )

const ExecInspected = Schema.Struct({ ExitCode: Schema.Number })

const exec =
  <E>(api: Api, exactly: (name: string) => Effect.Effect<string, E>) =>
  (name: string, argv: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const id = yield* exactly(name)
      const request = HttpClientRequest.bodyUnsafeJson(post(path`/containers/${id}/exec`), {
        Cmd: argv,
        AttachStdout: true,
        AttachStderr: true,
        AttachStdin: false,
        Tty: false
      })
      const { Id } = yield* api.json({ operation: "exec", request, within: "10 seconds" }, Created)
      const start = HttpClientRequest.bodyUnsafeJson(post(path`/exec/${Id}/start`), { Detach: false, Tty: false })
      const written = yield* output(api.bytes({ operation: "exec", request: start }))
      const { ExitCode } = yield* api.json(
        { operation: "exec", request: get(path`/exec/${Id}/json`), within: "10 seconds" },
        ExecInspected
      )
      const text = decodeCut(written)
      // A command that cannot be run has podman's own words in place of its output.
      if ((ExitCode === 126 || ExitCode === 127) && /^Error: .*(?:runc|crun|OCI)/.test(text)) {
        return yield* new RuntimeRefused({ operation: "exec", subject: name, why: plain(text) })
      }
      return { exitCode: ExitCode, output: text }
    }).pipe(mapRefusal(orMissing(name, refused("exec", name))))
