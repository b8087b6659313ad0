import type { Schema } from "effect"
import { ServiceSpec } from "../domain/Spec.ts"
import * as Json from "./json.ts"

/** What `--json` prints, by command; with an option where that changes it. `logs` and `--watch` print one a line. */
export const outputs: Readonly<Record<string, Schema.Schema.All>> = {
  deploy: Json.Deploy,
  "deploy --dry-run": Json.Plan,
  plan: Json.Plan,
  build: Json.BuildResult,
  rollback: Json.Rollback,
  stop: Json.Outcomes,
  start: Json.Outcomes,
  restart: Json.Outcomes,
  silence: Json.Silence,
  undeploy: Json.Undeployed,
  sync: Json.Sync,
  purge: Json.Purge,
  adopt: Json.Adopted,
  ps: Json.Ps,
  status: Json.Status,
  why: Json.Why,
  history: Json.History,
  "history --diff": Json.HistoryDiff,
  list: Json.List,
  events: Json.Events,
  "events --follow": Json.Event,
  logs: Json.LogLine,
  stats: Json.Stats,
  push: Json.Pushed,
  pull: Json.Pulled,
  "files list": Json.Files,
  "files rm": Json.PathRemoved,
  "snapshot create": Json.SnapshotMade,
  "snapshot list": Json.Snapshots,
  "snapshot restore": Json.SnapshotRestored,
  "snapshot rm": Json.SnapshotRemoved,
  "node list": Json.Nodes,
  "node add": Json.NodeAdded,
  "node remove": Json.NodeRemoved,
  "service list": Json.Definitions,
  "service show": ServiceSpec,
  "service check": Json.Definitions,
  "service new": Json.Created,
  "service export": Json.Exported,
  "service edit": Json.Edited,
  "service import": Json.Imported,
  "secret set": Json.SecretSet,
  "secret list": Json.Secrets,
  "secret rm": Json.SecretRemoved,
  login: Json.LoggedIn,
  logout: Json.LoggedOut,
  whoami: Json.Account,
  "ca init": Json.CaMade,
  "ca issue": Json.CaIssued
}

/** The commands whose output is another program's own. */
export const withoutJson: ReadonlySet<string> = new Set(["exec"])
