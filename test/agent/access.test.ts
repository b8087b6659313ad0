import { assert, describe, it } from "@effect/vitest"
import { accessOf } from "../../src/agent/access.ts"
import { McpAgentService } from "../../src/gen/mcp/v1/mcp_pb.ts"
import { methodPath } from "../../src/grpc/service.ts"

describe("the table of who may call what", () => {
  it("has every RPC of the agent; only HealthCheck is open", () => {
    const open: Array<string> = []
    for (const method of McpAgentService.methods) {
      const access = accessOf(methodPath(method))
      assert.isDefined(access, method.name)
      if (access?.verb === "open") open.push(method.name)
    }
    assert.deepStrictEqual(open, ["HealthCheck"])
  })
  it("names nothing that it does not know", () => {
    assert.isUndefined(accessOf("/mcp.v1.McpAgentService/DropEverything"))
    assert.isUndefined(accessOf("/other.Service/Deploy"))
  })
})
