import { HttpClientRequest } from "@effect/platform"
import { Effect, Schema, Stream } from "effect"
import type { ContainerRuntime, NewContainer } from "../../services/ContainerRuntime.ts"
import {
  ContainerNameInUse,
  ContainerNotFound,
  DiskFull,
  ImageNotFound,
  PortInUse,
  RuntimeRefused
} from "../../services/RuntimeError.ts"
import { type Api, asUnavailable, mapRefusal, path, type Refusal } from "./api.ts"
import { attach } from "./attach.ts"
import { Described, described, ImageSettings } from "./describe.ts"
import { Inspected, inspected, Listed, listed } from "./facts.ts"
import { decodeCut, logLines, output } from "./frames.ts"
import { spec } from "./spec.ts"
import { stats } from "./stats.ts"
import { isDiskFull, isPortTaken, plain, tellsOfNoRun } from "./words.ts"

const { get, post, del } = HttpClientRequest

const refused = (operation: string, subject: string) => (error: Refusal) =>
  new RuntimeRefused({ operation, subject, why: error.why })

/** As `refused`, for what writes to the disk. */
const refusedOrFull = (operation: string, subject: string) => (error: Refusal) =>
  isDiskFull(error.detail) ? new DiskFull({ operation, subject }) : refused(operation, subject)(error)

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
  const raw = <A extends { readonly Id: string; readonly Name: string }, I>(
    name: string,
    schema: Schema.Schema<A, I>
  ) =>
    api.json({ operation: "inspect", request: get(path`/containers/${name}/json`), within: "4 seconds" }, schema).pipe(
      Effect.filterOrFail(
        (one) => one.Name === name || (name.length >= 12 && one.Id.startsWith(name)),
        () => new ContainerNotFound({ container: name })
      )
    )

  const inspect = (name: string) =>
    raw(name, Inspected).pipe(Effect.map(inspected), mapRefusal(orMissing(name, asUnavailable)))

  const describe = (name: string) =>
    Effect.gen(function* () {
      const one = yield* raw(name, Described)
      const image = yield* api.json(
        { operation: "image", request: get(path`/images/${one.Image}/json`), within: "4 seconds" },
        ImageSettings
      )
      return described(one, image)
    }).pipe(mapRefusal(orMissing(name, asUnavailable)))

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
            : refusedOrFull("create", wanted.containerName)(error)
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
          : orMissing(name, refusedOrFull("start", name))(error)
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
        // Without a timeout podman first waits for as long as the container's own stop timeout says.
        request: del(path`/containers/${id}`).pipe(HttpClientRequest.setUrlParams({ force: true, timeout: 0 })),
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
        within: "4 seconds"
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

  const attached: ContainerRuntime["Type"]["attach"] = (name, command) =>
    Effect.flatMap(exactly(name), (id) => attach(api, id, command)).pipe(
      mapRefusal(orMissing(name, refused("exec", name)))
    )

  return {
    list: list(api),
    inspect,
    describe,
    create,
    start,
    stop,
    remove,
    rename,
    wait,
    logs,
    exec: exec(api, exactly),
    attach: attached,
    stats: stats(api, list(api))
  }
}

const list = (api: Api) =>
  api
    .json(
      {
        operation: "list",
        request: HttpClientRequest.setUrlParam(get("/containers/json"), "all", "true"),
        within: "4 seconds"
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
      const { Id } = yield* api.json({ operation: "exec", request, within: "4 seconds" }, Created)
      const start = HttpClientRequest.bodyUnsafeJson(post(path`/exec/${Id}/start`), { Detach: false, Tty: false })
      const written = yield* output(api.bytes({ operation: "exec", request: start }))
      const { ExitCode } = yield* api.json(
        { operation: "exec", request: get(path`/exec/${Id}/json`), within: "4 seconds" },
        ExecInspected
      )
      const text = decodeCut(written)
      // A command that cannot be run has podman's own words in place of its output.
      if ((ExitCode === 126 || ExitCode === 127) && tellsOfNoRun(text)) {
        return yield* new RuntimeRefused({ operation: "exec", subject: name, why: plain(text) })
      }
      return { exitCode: ExitCode, output: text }
    }).pipe(mapRefusal(orMissing(name, refused("exec", name))))
