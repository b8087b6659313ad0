import { Layer } from "effect"
import * as Accounts from "./Accounts.ts"
import * as Database from "./database.ts"
import type { StoreTooNew, StoreUnavailable } from "./Failure.ts"
import * as Keys from "./Keys.ts"
import * as TokenRecords from "./TokenRecords.ts"

export type Store = Accounts.Accounts | TokenRecords.TokenRecords | Keys.Keys

/** All that is kept in `dir`, over one connection. */
export const layer = (dir: string): Layer.Layer<Store, StoreTooNew | StoreUnavailable> =>
  Layer.mergeAll(Accounts.layer, TokenRecords.layer, Keys.layer(dir)).pipe(Layer.provide(Database.layer(dir)))
