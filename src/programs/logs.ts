import { Effect, Stream } from "effect"
import { ContainerRuntime, type LogLine, type LogOptions } from "../services/ContainerRuntime.ts"
import { gather } from "./facts.ts"
import { findService } from "./findService.ts"
import type { Target } from "./lifecycle.ts"
import { ComponentNotFound } from "./ProgramError.ts"

/** The log lines of one or all components of a service, as they come; each says whose it is. */
export const logs = (target: Target, options: LogOptions) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const row = yield* findService(target.service)
      const { current, rows } = yield* gather(target.service)
      const known = [...rows.keys()]
      if (target.component !== undefined && !known.includes(target.component)) {
        return yield* new ComponentNotFound({ service: row.service, component: target.component, known })
      }
      const streams = known
        .filter((component) => target.component === undefined || component === target.component)
        .flatMap((component) => {
          const container = current.get(component)
          if (container === undefined) return []
          const lines = runtime.logs(container.id, options)
          return [Stream.map(lines, (line): LogLine & { component: string } => ({ ...line, component }))]
        })
      return Stream.mergeAll(streams, { concurrency: "unbounded" })
    })
  )
