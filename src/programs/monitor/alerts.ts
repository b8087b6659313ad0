import { Cause, Effect, Hash, Queue } from "effect"
import type { AlertKind } from "../../domain/Alerting.ts"
import { targetOf } from "../../domain/Names.ts"
import { type Alert, Alerter } from "../../services/Alerter.ts"
import type { Live } from "../observe.ts"

/** So many alerts are sent side by side; those of one component go one after another. */
const workers = 4
/** More that wait than this, and the alert command does not keep up. */
const mostWaiting = 1_000

/**
 * Takes alerts and answers at once: a command that hangs holds up other alerts of its worker, and never the monitor. They
 * are sent as long as the scope lasts.
 */
export const postAlerts = Effect.gen(function* () {
  const { send } = yield* Alerter
  const queues = yield* Effect.forEach(Array.from({ length: workers }), () => Queue.dropping<Alert>(mostWaiting))
  for (const queue of queues) {
    const one = Effect.flatMap(Queue.take(queue), (alert) =>
      Effect.catchAllCause(send(alert), (cause) =>
        Cause.isInterruptedOnly(cause) ? Effect.failCause(cause) : Effect.logError("an alert was not sent", cause)
      )
    )
    yield* Effect.forkScoped(Effect.forever(one))
  }
  return (alert: Alert) =>
    Effect.gen(function* () {
      const worker = Math.abs(Hash.string(targetOf(alert.service, alert.component))) % workers
      const queue = queues[worker]
      const taken = queue === undefined ? false : yield* Queue.offer(queue, alert)
      if (taken) return
      yield* Effect.logError("an alert is dropped: the alert command does not keep up").pipe(
        Effect.annotateLogs({ service: alert.service, component: alert.component, kind: alert.kind })
      )
    })
})

/** One sentence for the operator. */
export const describe = (kind: AlertKind, { component, exitCode, observed, service }: Live): string => {
  const name = targetOf(service, component)
  switch (kind) {
    case "missing":
      return `${name} should run, and its container is gone`
    case "stopped":
      return `${name} should run, and has ended${exitCode === undefined ? "" : ` with exit code ${exitCode}`}`
    case "running":
      return `${name} runs, and should not`
    case "image":
      return `${name} runs another image than it should`
    case "spec":
      return `the container of ${name} has another name than it should`
    case "unhealthy":
      return `${name} is unhealthy`
    case "flapping":
      return `${name} keeps leaving its desired state; other alerts of it wait`
    case "recovered":
      return `${name} is ${observed} as it should be`
    case "gave_up":
      return `${name} keeps failing, and is not healed any more until somebody has seen to it`
    case "runtime":
      return "the container runtime does not answer"
  }
}
