/*
 * What `--json` prints: public, so a key that is here stays. Keys are snake_case, times RFC 3339, durations in
 * milliseconds with `_ms`. Absent is null, never a missing key. Tables are made from the same rows.
 */
export * from "./json/acting.ts"
export * from "./json/fields.ts"
export * from "./json/keeping.ts"
export * from "./json/seeing.ts"
export * from "./json/snapshots.ts"
