import { HttpClientRequest } from "@effect/platform"
import { Clock, Effect, Schema, Stream } from "effect"
import type { RuntimeEvent } from "../../services/ContainerRuntime.ts"
import { RuntimeUnavailable } from "../../services/RuntimeError.ts"
import { type Api, asUnavailable } from "./api.ts"

const Event = Schema.parseJson(
  Schema.Struct({
    Action: Schema.String,
    Actor: Schema.Struct({
      ID: Schema.String,
      Attributes: Schema.Record({ key: Schema.String, value: Schema.String })
    }),
    time: Schema.Number,
    timeNano: Schema.optional(Schema.Number)
  })
)

const event = ({ Action, Actor, time, timeNano }: typeof Event.Type): RuntimeEvent => {
  // The labels of the container lie among podman's own attributes.
  const { name = "", image: _image, podId: _podId, containerExitCode, ...labels } = Actor.Attributes
  return {
    at: timeNano === undefined ? time * 1000 : Math.floor(timeNano / 1e6),
    action: Action,
    containerId: Actor.ID,
    containerName: name,
    // podman sends 0 with every other event.
    exitCode: Action === "died" ? Number(containerExitCode ?? 0) : undefined,
    labels
  }
}

/**
 * podman answers a request for events when the first one comes, so nobody can tell when it began to listen. It is told
 * to begin with the moment in which the stream was started: what happens while the request is on its way comes too.
 */
const request = Effect.map(Clock.currentTimeMillis, (now) =>
  HttpClientRequest.get("/events").pipe(
    HttpClientRequest.setUrlParams({
      stream: true,
      since: (now / 1000).toFixed(3),
      filters: JSON.stringify({ type: ["container"] })
    })
  )
)

export const make = (api: Api): Stream.Stream<RuntimeEvent, RuntimeUnavailable> =>
  Stream.unwrap(Effect.map(request, (request) => api.bytes({ operation: "events", request }))).pipe(
    Stream.catchTag("Refusal", (error) => Stream.fail(asUnavailable(error))),
    Stream.decodeText(),
    Stream.splitLines,
    Stream.filter((line) => line.trim() !== ""),
    Stream.mapEffect((line) =>
      Effect.mapError(
        Effect.map(Schema.decode(Event)(line), event),
        (cause) => new RuntimeUnavailable({ operation: "events", why: "podman answered something unexpected", cause })
      )
    ),
    Stream.concat(Stream.fail(new RuntimeUnavailable({ operation: "events", why: "podman closed the connection" })))
  )
