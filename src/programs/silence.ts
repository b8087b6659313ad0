import { Effect } from "effect"
import { Monitor, type MonitorTarget } from "../services/Monitor.ts"
import { findService } from "./findService.ts"
import { ComponentNotFound } from "./ProgramError.ts"

/** No alerts of the target for so many milliseconds; 0 ends a window. Answers until when. */
export const silence = (target: MonitorTarget, forMs: number, actor: string) =>
  Effect.gen(function* () {
    const { spec } = yield* findService(target.service)
    const known = spec.components.map(({ name }) => name as string)
    if (target.component !== undefined && !known.includes(target.component)) {
      return yield* new ComponentNotFound({ service: target.service, component: target.component, known })
    }
    return yield* (yield* Monitor).silence(target, forMs, actor)
  })
