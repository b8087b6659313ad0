import { Effect, Ref } from "effect"

/** The agent's own state, as `HealthCheck` tells it. */
export class AgentState extends Effect.Service<AgentState>()("mcp/AgentState", {
  effect: Effect.map(Ref.make<"booting" | "serving" | "stopping">("booting"), (ref) => ({
    get: Ref.get(ref),
    set: (state: "booting" | "serving" | "stopping") => Ref.set(ref, state)
  }))
}) {}
