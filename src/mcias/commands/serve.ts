import { Command, Options } from "@effect/cli"
import { Effect } from "effect"
import * as Address from "../address.ts"
import * as Api from "../api.ts"
import { Keys } from "../Keys.ts"
import * as RateLimit from "../rateLimit.ts"
import { serve as listen } from "../server.ts"
import { dir, tokens, withStore } from "./shared.ts"

export const serve = Command.make(
  "serve",
  {
    dir,
    addr: Options.text("addr").pipe(
      Options.withDescription("Where to listen, HOST:PORT; port 0 takes a free one"),
      Options.withDefault("127.0.0.1:8443")
    ),
    tlsCert: Options.text("tls-cert").pipe(Options.withDescription("Certificate with its chain, in PEM")),
    tlsKey: Options.text("tls-key").pipe(Options.withDescription("Its key, in PEM"))
  },
  Effect.fn("mcias.serve")(
    function* ({ addr, dir, tlsCert, tlsKey }) {
      const address = yield* Address.resolve(addr)
      yield* Effect.gen(function* () {
        // A key that cannot be used is told now and not at the first login.
        yield* (yield* Keys).current
        const api = yield* Api.make(yield* tokens, RateLimit.make())
        const bound = yield* listen(api, { address, tlsCert, tlsKey })
        yield* Effect.addFinalizer(() => Effect.logInfo("stopping"))
        yield* Effect.logInfo(`listening on ${Address.show(bound)}`)
        yield* Effect.never
      }).pipe(withStore(dir))
    },
    (effect) => Effect.scoped(effect)
  )
).pipe(Command.withDescription("Serve MCIAS's REST API over TLS 1.3"))
