import { Schema } from "effect"
import { formatPort } from "../../domain/Scalars.ts"
import { Container, RuntimeState } from "../../services/ContainerRuntime.ts"

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

export const Listed = Schema.Array(
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

export const Inspected = Schema.Struct({
  Id: Schema.String,
  Name: Schema.String,
  Image: Schema.String,
  ImageName: Schema.String,
  State: Schema.Struct({
    Status: Schema.String,
    ExitCode: Schema.Number,
    StartedAt: Schema.String,
    FinishedAt: Schema.String,
    OOMKilled: Schema.optional(Schema.Boolean)
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
  readonly oomKilled?: boolean | undefined
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
    ...(facts.oomKilled === undefined ? {} : { oomKilled: facts.oomKilled }),
    ...(started === undefined ? {} : { startedAt: started }),
    ...(finished === undefined ? {} : { finishedAt: finished })
  })
}

export const listed = (one: (typeof Listed.Type)[number]) =>
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

export const inspected = (one: typeof Inspected.Type) =>
  container({
    id: one.Id,
    containerName: one.Name,
    image: one.ImageName,
    imageId: one.Image,
    state: one.State.Status,
    exitCode: one.State.ExitCode,
    startedAt: Date.parse(one.State.StartedAt),
    finishedAt: Date.parse(one.State.FinishedAt),
    oomKilled: one.State.OOMKilled,
    labels: one.Config.Labels,
    ports: Object.entries(one.HostConfig.PortBindings ?? {}).flatMap(([key, bindings]) => {
      const [inside, protocol] = key.split("/")
      return (bindings ?? []).map((b) => port(b.HostIp, Number(b.HostPort), Number(inside), protocol))
    })
  })
