import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt"
import { Effect, Option, Stream } from "effect"
import type { SilenceTargetRequest, WatchEventsRequest } from "../../gen/mcp/v1/mcp_pb.ts"
import { watchEvents } from "../../programs/events.ts"
import { silence } from "../../programs/silence.ts"
import { authorize, CallerContext, visible } from "../CallerContext.ts"
import * as encode from "../encode.ts"

export const watching = {
  watchEvents: (request: WatchEventsRequest) =>
    Stream.unwrap(
      Effect.gen(function* () {
        if (request.service !== "") yield* authorize(request.service, request.component)
        const sees = yield* visible
        return watchEvents({
          service: request.service,
          component: request.component,
          since: request.since === undefined ? 0 : timestampMs(request.since),
          after: Number(request.after),
          limit: Math.min(request.limit, 1000)
        }).pipe(Stream.map((events) => ({ events: events.filter(({ service }) => sees(service)).map(encode.event) })))
      })
    ),
  silenceTarget: ({ component, forMs, service }: SilenceTargetRequest) =>
    Effect.gen(function* () {
      yield* authorize(service, component)
      const { who } = yield* CallerContext
      const target = { service, component: component === "" ? undefined : component }
      const until = yield* silence(target, Number(forMs), who.username)
      return Option.match(until, { onNone: () => ({}), onSome: (at) => ({ until: timestampFromMs(at) }) })
    })
}
