/** The longest message either side takes: file chunks are at most 1 MiB, and one call's list of everything fits. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024
/** Calls in flight on one connection; what a client asks for above it waits in the client. */
export const MAX_CALLS_PER_CONNECTION = 128
/** Calls in flight on one server, all connections together; above it RESOURCE_EXHAUSTED `TOO_MANY_CALLS`. */
export const MAX_CALLS = 2048
/** What a peer may send on one stream before we have read it: the bound on a call's unread bytes. */
export const FLOW_CONTROL_WINDOW = 256 * 1024
/** The same for a client that pulls files: over a long line less would hold it to this much a round trip. */
export const BULK_WINDOW = 8 * 1024 * 1024
/** The same for a server's connection, all its streams together. */
export const CONNECTION_WINDOW = 1024 * 1024
/** What a call may have written and not yet handed to the connection before its producer waits. */
export const WRITE_AHEAD_BYTES = 64 * 1024
/** What a client keeps of a call in order to send it again when the server never saw it; it is also its write-ahead. */
export const RETRY_BUFFER_BYTES = 64 * 1024
/** A connection that carries calls is pinged this often, by both sides, and is dead when the answer takes longer than the timeout. */
export const KEEPALIVE_TIME_MS = 30_000
export const KEEPALIVE_TIMEOUT_MS = 10_000
/** How long a client waits for TCP and TLS before `NODE_UNREACHABLE`. */
export const CONNECT_TIMEOUT_MS = 5_000
/** After a failed connection the next attempt comes within these bounds, so that a node that is back is found soon. */
export const RECONNECT_MIN_MS = 500
export const RECONNECT_MAX_MS = 5_000
/** How long a stopping server lets running calls finish. */
export const GRACE_PERIOD_MS = 10_000
/** How often certificate files are looked at. */
export const CERTIFICATE_POLL_MS = 10_000
