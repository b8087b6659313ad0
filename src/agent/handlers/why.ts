import { timestampFromMs } from "@bufbuild/protobuf/wkt"
import { Effect } from "effect"
import { type Explained, why } from "../../programs/why.ts"
import { authorize } from "../CallerContext.ts"
import { liveComponent } from "../encode.ts"

const explanation = ({ behind, cause, component, live, nextStep, summary, timeline, well }: Explained) => ({
  component,
  cause,
  behind: behind ?? "",
  well,
  summary,
  nextStep,
  timeline: timeline.map(({ at, ...entry }) => ({ ...entry, at: timestampFromMs(at) })),
  ...(live === undefined ? {} : { live: liveComponent(live) })
})

export const explain = (request: { readonly service: string; readonly component: string }) =>
  authorize(request.service, request.component).pipe(
    Effect.zipRight(
      why({ service: request.service, component: request.component === "" ? undefined : request.component })
    ),
    Effect.map((components) => ({ components: components.map(explanation) }))
  )
