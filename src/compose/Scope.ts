import type { ComponentSpec } from "../domain/Spec.ts"
import type { Loader } from "./files.ts"
import type { Folders } from "./folders.ts"
import type { Lookup } from "./interpolate.ts"
import type { Entry, Node, Place } from "./Node.ts"
import type { Report } from "./Report.ts"

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

type Encoded = typeof ComponentSpec.Encoded

/** A component of the definition that is being written. */
export type Draft = Mutable<Omit<Encoded, "env" | "ports" | "volumes" | "secrets" | "depends_on" | "routes">> & {
  readonly env: Map<string, string>
  readonly ports: Array<string>
  readonly volumes: Array<string>
  readonly secrets: Array<string>
  readonly depends_on: Array<string>
  readonly routes: Array<NonNullable<Encoded["routes"]>[number]>
}

/** What all services of a file share. */
export interface Project {
  readonly report: Report
  readonly loader: Loader
  readonly lookup: Lookup
  readonly kind: (path: string) => "file" | "folder" | undefined
  /** The service's name in MCP. */
  readonly service: string
  /** The folder that paths of the compose file start at. */
  readonly folder: string
  /** What components are called, by what compose calls them: of those that are carried over. */
  readonly components: ReadonlyMap<string, string>
  /** Services that no active profile has. */
  readonly inactive: ReadonlySet<string>
  readonly folders: Folders
  /** The entry of a top-level section; `use` says that something refers to it. */
  readonly top: (section: string, name: string) => Entry | undefined
  readonly use: (section: string, name: string) => void
  readonly images: Map<string, { readonly dockerfile: string; readonly context: string; readonly node: Node }>
  /** Components that run to their end before others start. */
  readonly jobs: Set<string>
  readonly routePorts: Set<number>
  /** The name of a secret in MCP, by what compose calls it. */
  readonly secretSources: Map<string, string>
}

/** One service of the file. */
export interface Scope extends Project {
  readonly draft: Draft
  readonly name: string
  /** `services.<name>`. */
  readonly path: string
  readonly at: Place
  /** Where a part of the definition comes from, so that what is wrong with it can be told there. */
  readonly from: (place: Place, ...path: ReadonlyArray<string | number>) => void
}
