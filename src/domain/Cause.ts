import { causeOfEnd } from "./EndCause.ts"
import { causeOf, nextStep, wordsOf } from "./FailureCause.ts"
import type { Findings } from "./Findings.ts"
import { lasting } from "./lasting.ts"
import { containerName } from "./Names.ts"
import { probeReason } from "./Probed.ts"
import { backoff } from "./Restart.ts"

/** Why a component is as it is. */
export interface Cause {
  /** A stable name, such as `exited_1`; `running` when all is well. */
  readonly cause: string
  /** Of `rolled_back` and `deploy_refused`: the cause of the component that failed. */
  readonly behind?: string
  /** It is as it should be. */
  readonly well: boolean
  /** One sentence. */
  readonly summary: string
  readonly nextStep: string
}

const by = (actor: string) => (actor === "" ? "" : ` by ${actor}`)
const ago = (now: number, at: number | undefined) => (at === undefined ? "" : ` ${lasting(now - at)} ago`)

const underWay = (f: Findings, attempt: NonNullable<Findings["attempt"]>): Cause => {
  const { actor, at, failure, kind, lastError, stage } = attempt
  const since = `a ${kind}${by(actor)} has been under way for ${lasting(f.now - at)}`
  const back = stage === "rolling_back" ? `, and goes back: ${failure?.message ?? "it failed"}` : ""
  const held = lastError === undefined ? "" : `; it is held up, and goes on by itself: ${lastError}`
  const probe = f.probe?.failing === undefined ? "" : `; its health check fails so far: ${f.probe.detail}`
  return {
    cause: "deploying",
    well: false,
    summary: `${since}${back}${held}${probe}`,
    nextStep:
      lastError === undefined
        ? `wait, and ask again: mcp why ${f.target}`
        : "remove what holds it up; nothing has to be said again"
  }
}

/** What became of the last attempt to change the service, when it came to nothing. */
const cameToNothing = (f: Findings): Cause | undefined => {
  const attempt = f.attempt
  if (attempt === undefined || attempt.state === "under_way" || attempt.failure === undefined) return undefined
  const { actor, at, failure, kind, state } = attempt
  const behind = causeOf(failure, f)
  const what = `the ${kind}${by(actor)}${ago(f.now, at)} was ${state === "refused" ? "refused" : "rolled back"}`
  const own = failure.component === f.component || failure.component === ""
  const why = `${what}: ${wordsOf(behind, failure.message, f)}`
  const next = nextStep(behind, f, "deploy")
  const first = f.desired === undefined
  if (first && own) {
    return { cause: behind, well: false, summary: `nothing of it runs: ${why}`, nextStep: next }
  }
  const cause = state === "refused" ? "deploy_refused" : "rolled_back"
  if (first) {
    const other = `${f.service}/${failure.component}`
    return { cause, behind, well: false, summary: `nothing of it runs: ${why}`, nextStep: `mcp why ${other}` }
  }
  if (!own) return undefined
  return { cause, behind, well: false, summary: `what ran before runs on: ${why}`, nextStep: next }
}

const stopped = (f: Findings): Cause => {
  const { container, desiredBy, now, target } = f
  if (container?.state === "running") {
    return {
      cause: "started_by_hand_perhaps",
      well: false,
      summary: "it should be stopped and runs: no act of MCP started it, perhaps podman start by hand",
      nextStep: `mcp stop ${target} stops it; mcp start ${target} lets it run`
    }
  }
  const who = desiredBy?.actor || "an operator"
  const how = desiredBy?.deployed === true ? `${who} deployed it as stopped (active = false)` : `${who} stopped it`
  return {
    cause: "stopped_by_operator",
    well: true,
    summary: `${how}${ago(now, desiredBy?.at)}`,
    nextStep: `mcp start ${target}`
  }
}

const notStarted = (f: Findings, failure: NonNullable<Findings["failedStart"]>): Cause => {
  const cause = causeOf(failure, f)
  const again =
    f.restartAt === undefined ? "" : `; the agent tries again in ${lasting(Math.max(0, f.restartAt - f.now) + 999)}`
  const who = failure.actor === "" ? "the agent cannot start it" : `it did not start when ${failure.actor} asked for it`
  return {
    cause,
    well: false,
    summary: `${who}${failure.at === undefined ? "" : ` (since ${lasting(f.now - failure.at)})`}: ${wordsOf(cause, failure.message, f)}${again}`,
    nextStep: nextStep(cause, f, f.restartAt === undefined ? "start" : "none")
  }
}

const missing = (f: Findings): Cause =>
  f.named
    ? {
        cause: "removed_by_hand",
        well: false,
        summary: `its container ${f.containerName} is gone, and no act of MCP removed it: somebody did by hand (podman rm), or podman's storage was emptied`,
        nextStep: `mcp start ${f.target} makes it again as it was`
      }
    : {
        cause: "not_made",
        well: false,
        summary: "it should run, and no container was made for it yet",
        nextStep: `mcp start ${f.target}`
      }

const renamed = (f: Findings): Cause | undefined => {
  const due = containerName(f.service, f.component)
  if (f.container === undefined || f.containerName === due) return undefined
  return {
    cause: "renamed_by_hand",
    well: false,
    summary: `it runs, and its container is called ${f.containerName} instead of ${due}: no act of MCP renamed it`,
    nextStep: `on the node: podman rename ${f.containerName} ${due}`
  }
}

const unhealthy = (f: Findings, probe: NonNullable<Findings["probe"]>): Cause => {
  const since = probe.failing === undefined ? "" : ` for ${lasting(f.now - probe.failing)}`
  const cause = probeReason(probe.detail)
  if (probe.state === "starting") {
    return {
      cause: "starting",
      well: false,
      summary: `it runs, and its health check has not succeeded since it started${ago(f.now, f.container?.startedAt)}: ${probe.detail}`,
      nextStep: `wait, and ask again: mcp why ${f.target}`
    }
  }
  return {
    cause,
    well: false,
    summary: `it runs, and its health check has failed${since}: ${probe.detail}`,
    nextStep: nextStep(cause, f, "none")
  }
}

const running = (f: Findings): Cause => {
  const up = f.container?.startedAt === undefined ? "" : ` for ${lasting(f.now - f.container.startedAt)}`
  const healthy = f.probe?.state === "healthy" ? " and is healthy" : ""
  const failing = f.probe?.failing === undefined ? "" : `; its last probe failed: ${f.probe.detail}`
  const again =
    f.restarts === 0 ? "" : `; the agent has started it again ${f.restarts === 1 ? "once" : `${f.restarts} times`}`
  const last =
    f.restarts > 0 && f.end !== undefined ? `, last${ago(f.now, f.end.at)} (${f.end.reason.replaceAll("_", " ")})` : ""
  const adopted = f.adopted ? "; it was adopted, and podman itself restarts it by the policy that it had" : ""
  return {
    cause: "running",
    well: true,
    summary: `it has run${up}${healthy}${failing}${again}${last}${adopted}`,
    nextStep: ""
  }
}

const shouldRun = (f: Findings): Cause => {
  const { container, failedStart } = f
  if (container?.state !== "running" && failedStart !== undefined) return notStarted(f, failedStart)
  switch (container?.state) {
    case undefined:
      return missing(f)
    case "paused":
      return {
        cause: "paused",
        well: false,
        summary: "its container is paused: no act of MCP did that, perhaps podman pause by hand",
        nextStep: `on the node: podman unpause ${f.containerName}`
      }
    case "exited":
      return causeOfEnd(f)
    case "running":
      break
    default:
      return {
        cause: "not_started",
        well: false,
        summary: `its container is there and was never started (podman says ${container?.state})`,
        nextStep: `mcp start ${f.target}`
      }
  }
  if (f.probe?.state === "unhealthy" || (f.probe?.state === "starting" && f.probe.failing !== undefined)) {
    return unhealthy(f, f.probe)
  }
  // Until it has run for long enough, its last end is what matters.
  if (f.end !== undefined && f.restarts > 0 && f.now - (container?.startedAt ?? 0) < backoff.steadyMs) {
    return causeOfEnd(f)
  }
  return renamed(f) ?? cameToNothing(f) ?? running(f)
}

/** From what is known of a component to why it is so; the one place for that rule. */
export const causeFrom = (f: Findings): Cause => {
  if (f.runtimeError !== undefined) {
    return {
      cause: "runtime_unavailable",
      well: false,
      summary: `podman does not answer, so nobody can tell how it is: ${f.runtimeError}`,
      nextStep: "on the node: podman info, and the agent's log; the agent goes on by itself once podman answers"
    }
  }
  if (f.attempt?.state === "under_way") return underWay(f, f.attempt)
  if (f.undeploying) {
    return {
      cause: "undeploying",
      well: false,
      summary: "an undeploy has begun and is not over yet; it goes on by itself",
      nextStep: `wait, and ask again: mcp why ${f.target}`
    }
  }
  switch (f.desired) {
    case undefined:
      return (
        cameToNothing(f) ?? {
          cause: "undeployed",
          well: true,
          summary: `it was undeployed${ago(f.now, f.undeployedAt)}`,
          nextStep: `mcp deploy ${f.service} brings it back; mcp history ${f.service} shows what there was`
        }
      )
    case "ignore":
      return { cause: "ignored", well: true, summary: "MCP leaves it alone (desired state ignore)", nextStep: "" }
    case "stopped":
      return stopped(f)
    case "running":
      return shouldRun(f)
  }
}
