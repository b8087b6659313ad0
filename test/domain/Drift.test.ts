import { assert, it } from "@effect/vitest"
import { driftOf, type Seen } from "../../src/domain/Drift.ts"

const fine: Seen = {
  desired: "running",
  observed: "running",
  exitCode: undefined,
  restart: "unless-stopped",
  image: { desired: "i1", actual: "i1" },
  otherSpec: false,
  flapping: false
}

it.each<[string, Partial<Seen>, ReadonlyArray<string>]>([
  ["what runs as it should is none", {}, []],
  ["removed by hand", { observed: "removed" }, ["missing"]],
  ["ended by itself", { observed: "exited", exitCode: 1 }, ["stopped"]],
  ["a job that ended, whatever its code", { observed: "exited", exitCode: 1, restart: "no" }, []],
  ["on-failure after exit 0", { observed: "exited", exitCode: 0, restart: "on-failure:3" }, []],
  ["on-failure after exit 1", { observed: "exited", exitCode: 1, restart: "on-failure:3" }, ["stopped"]],
  ["runs and should not", { desired: "stopped" }, ["running"]],
  ["stopped as it should be", { desired: "stopped", observed: "stopped" }, []],
  [
    "another image, and unhealthy",
    { observed: "unhealthy", image: { desired: "i1", actual: "i2" } },
    ["unhealthy", "image"]
  ],
  ["renamed by hand", { otherSpec: true }, ["spec"]],
  ["keeps leaving its desired state, and runs now", { flapping: true }, ["flapping"]],
  ["stopped because it flapped", { flapping: true, desired: "stopped", observed: "stopped" }, []],
  ["an image that nobody knows", { image: { desired: undefined, actual: "i2" } }, []],
  ["nobody can say", { observed: "unknown" }, []],
  ["not MCP's to say", { desired: "ignore", observed: "exited" }, []]
])("drift: %s", (_, change, expected) => {
  assert.deepStrictEqual(driftOf({ ...fine, ...change }), expected)
})
