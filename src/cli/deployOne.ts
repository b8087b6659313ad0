import { toProto } from "../grpc/spec.ts"
import type { Loaded } from "./definitions.ts"
import { follow } from "./followDeploy.ts"
import type { Progress } from "./progress.ts"

export interface DeployFlags {
  readonly force: boolean
  readonly pull: boolean
  readonly noWait: boolean
  readonly waitForLock: boolean
  readonly respectPin: boolean
}

/** Brings one service to its definition. */
export const deployOne = ({ components, node, spec }: Loaded, flags: DeployFlags, progress: Progress) =>
  follow(
    {
      service: spec.name,
      node,
      before: "the old version",
      waits: flags.waitForLock,
      call: (client, options) => client.deploy({ spec: toProto(spec), components: [...components], ...flags }, options)
    },
    progress
  )
