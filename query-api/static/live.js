// The connection to /events: it comes back by itself, and says whether it stands.

/** The server is never silent for longer than two seconds. */
const SILENCE_MS = 7_000;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 15_000;

/**
 * Calls `on.summary` and `on.freshness` with the text of each event, and `on.state` with "live" or "offline". While the page
 * is not looked at there is no connection.
 */
export function follow(on) {
  let source = null;
  let retryMs = FIRST_RETRY_MS;
  let timer;

  function heard() {
    clearTimeout(timer);
    timer = setTimeout(reopen, SILENCE_MS);
    retryMs = FIRST_RETRY_MS;
    on.state("live");
  }

  function open() {
    clearTimeout(timer);
    source?.close();
    source = null;
    if (document.hidden) return;
    source = new EventSource("/events");
    for (const name of ["summary", "freshness"]) {
      source.addEventListener(name, (event) => {
        heard();
        on[name](event.data);
      });
    }
    source.addEventListener("error", lost);
    timer = setTimeout(reopen, SILENCE_MS);
  }

  /** The browser itself tries again after a cut connection, but not after an answer that it did not expect. */
  function lost() {
    on.state("offline");
    if (source?.readyState !== EventSource.CLOSED) return;
    clearTimeout(timer);
    timer = setTimeout(open, retryMs);
    retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
  }

  function reopen() {
    on.state("offline");
    open();
  }

  document.addEventListener("visibilitychange", open);
  addEventListener("online", open);
  addEventListener("offline", () => on.state("offline"));
  open();
  return open;
}
