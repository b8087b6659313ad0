import type { AgentConfig } from "../domain/AgentConfig.ts"
import type { Table } from "./Table.ts"

/** Every key of the config of `mcp-agent`. */
export const agentConfig: Table<typeof AgentConfig.Encoded> = {
  about:
    "The config of `mcp-agent`: `mcp-agent --config FILE`. Paths are absolute. `MCP_AGENT_<SECTION>_<KEY>` in the environment overrides a key. `mcp-agent check-config` shows what is in force.",
  keys: {
    server: {
      about: "Where the agent listens. TLS 1.3 and gRPC alone.",
      keys: {
        grpc_addr: "One address of the node, `HOST:PORT`; all interfaces are refused.",
        tls_cert: "Its certificate with its chain, in PEM; read again when it changes.",
        tls_key: "The certificate's key."
      }
    },
    database: { about: "The registry.", keys: { path: "The SQLite file; made when it is missing." } },
    mcias: {
      about: "The identity server that checks callers' tokens.",
      keys: {
        server_url: "Its address, `https://HOST:PORT`.",
        ca_cert: "The CA of its certificate. Absent: the system's.",
        service_name: "What it knows MCP as."
      }
    },
    auth: {
      about: "Who may do what. Guests may never do anything.",
      keys: {
        service_accounts: "The system accounts that may call. Absent: any.",
        rules: {
          about: "Grants; with one, what none grants is refused. Absent: any account may do all.",
          keys: {
            principals: "`role:NAME` or `account:NAME`.",
            verbs: "`read`, `operate`, `deploy`, `files` or `admin`.",
            services: "Service names, or `*`."
          }
        }
      }
    },
    agent: {
      about: "The node.",
      keys: {
        node_name: "What definitions call it.",
        files_root: "Services keep their files in folders of their own below it."
      }
    },
    runtime: {
      about: "How the agent reaches podman.",
      keys: {
        socket: "`unix:///path` of a podman service. Absent: the agent runs one of its own.",
        auth_file: "Credentials of image registries, as `podman login --authfile` writes them."
      }
    },
    monitor: {
      about: "Watching for drift. Of these only event_retention counts yet: alerts do not exist.",
      keys: {
        interval: "Between two looks at everything.",
        alert_command: "A program and its arguments, each a text of its own; never a shell.",
        alert_timeout: "How long a later stage is waited for; then there is a warning, and the boot goes on.",
        hold_for: "How long something must be wrong before it is told.",
        cooldown: "How long the same is not told again.",
        flap_threshold: "So many changes within `flap_window` are flapping.",
        flap_window: "See `flap_threshold`.",
        event_retention: "How long events are kept.",
        heal: "Whether drift that `restart` does not cover is undone too."
      }
    },
    log: {
      about: "The agent's log, on stderr.",
      keys: { level: "The least that is logged.", format: "For machines, or for people." }
    },
    proxy: {
      about: "The node's proxy. There is no driver yet: a deploy with routes says so.",
      keys: { driver: "Which proxy.", socket: "Its socket.", cert_dir: "Where it looks for certificates." }
    },
    dns: {
      about: "The DNS zone of services. Read and checked; there is no driver yet.",
      keys: { driver: "Which server.", zone: "The zone; a route's default host name is `<service>.<zone>`." }
    },
    certs: {
      about: "Where certificates of routes come from. Read and checked; there is no driver yet.",
      keys: {
        driver: "Which source.",
        server_url: "Its address.",
        ca_cert: "The CA of its own certificate.",
        mount: "Metacrypt: the engine's mount.",
        issuer: "Metacrypt: the issuer.",
        token_path: "A file with the agent's token for it."
      }
    },
    boot: {
      about: "In which order services are brought back when the agent starts: docs/recovery.md.",
      keys: {
        sequence: {
          about:
            "A stage; the next one starts when this one is up. The first is waited for without end; services of no stage come last.",
          keys: {
            name: "What the log calls it.",
            services: "Its services.",
            timeout: "How long it may take.",
            health:
              "How to tell that it is up: `component` as the definition has it; `tcp`: all its ports accept; `http`, `grpc`: a port of each component answers below 500, or `SERVING`."
          }
        }
      }
    },
    master: {
      about: "A fleet's master. Read and checked; there is no fleet yet.",
      keys: {
        addresses: "Its addresses, `HOST:PORT`, tried in order.",
        ca_cert: "The CA of its certificate.",
        token_path: "A file with the agent's token for it.",
        role: "What the node is in the fleet."
      }
    }
  }
}
