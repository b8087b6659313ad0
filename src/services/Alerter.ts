import { Context, type Effect } from "effect"
import type { AlertKind } from "../domain/Alerting.ts"

/** What the operator is told. */
export interface Alert {
  readonly node: string
  /** Empty: the whole node. */
  readonly service: string
  readonly component: string
  readonly kind: AlertKind
  /** What should be, and what is. */
  readonly from: string
  readonly to: string
  readonly message: string
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** Takes an alert to the operator. It never fails: what goes wrong is logged, and tried once more. */
export class Alerter extends Context.Tag("mcp/Alerter")<
  Alerter,
  { readonly send: (alert: Alert) => Effect.Effect<void> }
>() {}
