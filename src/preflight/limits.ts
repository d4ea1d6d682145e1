/** How long `cdc check` waits for a connection. It is shorter than that of `cdc run`, because a person waits for it. */
export const CHECK_CONNECT_TIMEOUT_MS = 5_000;

/** How long `cdc check` waits for a query. */
export const CHECK_QUERY_TIMEOUT_MS = 10_000;
