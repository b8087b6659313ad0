import { Schema } from "effect"

/* What the outputs of several commands have in common. */

export const Time = Schema.NullOr(Schema.Date)

export const MaybeText = Schema.NullOr(Schema.String)

export const MaybeNumber = Schema.NullOr(Schema.JsonNumber)

export const Unreachable = Schema.Struct({ node: Schema.String, reason: Schema.String, message: Schema.String })

export const unreachable_nodes = Schema.Array(Unreachable)
