import { Effect, Option } from "effect"
import { healthProbe } from "../domain/HealthProbe.ts"
import type { Allocated } from "../domain/Ports.ts"
import { firstWords } from "../domain/Probed.ts"
import type { ComponentSpec, Health } from "../domain/Spec.ts"
import { ContainerRuntime } from "../services/ContainerRuntime.ts"
import { type ProbeResult, Prober } from "../services/Prober.ts"

/** A container whose component is probed, with the host ports that it has. */
export interface Probing {
  readonly container: string
  readonly allocated: Allocated
}

/** One probe of a component's health check. It fails only when the runtime, asked to carry it out, does not answer. */
export const probe = (component: ComponentSpec, health: Health, { allocated, container }: Probing) =>
  Effect.gen(function* () {
    const how = healthProbe(component, allocated)
    const prober = yield* Prober
    const runtime = yield* ContainerRuntime
    if (how === undefined) return { healthy: true, detail: "" }
    switch (how._tag) {
      case "Http":
        return yield* prober.http(how, health.timeout)
      case "Tcp":
        return yield* prober.tcp(how, health.timeout)
      case "Cmd":
        return yield* runtime.exec(container, how.argv).pipe(
          Effect.map(({ exitCode, output }): ProbeResult => {
            const said = firstWords(output)
            return { healthy: exitCode === 0, detail: `exit ${exitCode}${said === "" ? "" : `: ${said}`}` }
          }),
          Effect.catchTag("RuntimeRefused", (error) => Effect.succeed({ healthy: false, detail: error.why })),
          Effect.timeoutOption(health.timeout),
          Effect.map(
            Option.getOrElse((): ProbeResult => ({ healthy: false, detail: `no answer within ${health.timeout} ms` }))
          )
        )
    }
  })
