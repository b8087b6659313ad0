import { HttpClientRequest } from "@effect/platform"
import { Effect, Schema } from "effect"
import type { ContainerRuntime } from "../../services/ContainerRuntime.ts"
import { RuntimeRefused } from "../../services/RuntimeError.ts"
import { type Api, path } from "./api.ts"

const Inspected = Schema.Struct({
  labels: Schema.optionalWith(Schema.Record({ key: Schema.String, value: Schema.String }), { nullable: true })
})

export const make = (api: Api): Pick<ContainerRuntime["Type"], "ensureNetwork" | "removeNetwork"> => ({
  ensureNetwork: (network, labels) =>
    api
      .text({
        operation: "network",
        request: HttpClientRequest.get(path`/networks/${network}/json`),
        within: "10 seconds"
      })
      .pipe(
        Effect.catchIf(
          (error) => error._tag === "Refusal" && error.status === 404,
          () =>
            api.text({
              operation: "network",
              request: HttpClientRequest.bodyUnsafeJson(HttpClientRequest.post("/networks/create"), {
                name: network,
                driver: "bridge",
                dns_enabled: true,
                labels
              }),
              within: "10 seconds"
            })
        ),
        Effect.asVoid,
        Effect.catchTag("Refusal", (error) =>
          // Another call made it in the meantime.
          error.status === 409 && error.reason === "network already exists"
            ? Effect.void
            : new RuntimeRefused({ operation: "create network", subject: network, why: error.why })
        )
      ),

  removeNetwork: (network, labels) =>
    api
      .json(
        {
          operation: "network",
          request: HttpClientRequest.get(path`/networks/${network}/json`),
          within: "10 seconds"
        },
        Inspected
      )
      .pipe(
        Effect.flatMap((found) =>
          Object.entries(labels).every(([key, value]) => found.labels?.[key] === value)
            ? api.text({
                operation: "network",
                request: HttpClientRequest.del(path`/networks/${network}`),
                within: "60 seconds"
              })
            : Effect.void
        ),
        Effect.asVoid,
        Effect.catchTag("Refusal", (error) => {
          if (error.status === 404) return Effect.void
          const why = error.reason === "network is being used" ? "a container is on it" : error.why
          return new RuntimeRefused({ operation: "remove network", subject: network, why })
        })
      )
})
