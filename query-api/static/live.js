// The connection to /events: it comes back by itself, and says whether it stands. The browser's own EventSource sends no key,
// so its protocol is read here, as much of it as the server speaks.

import { isLocked, request, whenLocked, whenUnlocked } from "./access.js";

/** The server is never silent for longer than two seconds. */
const SILENCE_MS = 7_000;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 15_000;
const EVENTS = ["summary", "freshness"];

/**
 * Calls `on.summary` and `on.freshness` with the text of each event, and `on.state` with "live", "offline" or "locked" (a key is
 * needed). While the page is not looked at there is no connection.
 */
export function follow(on) {
  let connection = new AbortController();
  let lastEventId = null;
  let retryMs = FIRST_RETRY_MS;
  let heard = false;
  let timer;

  function open() {
    clearTimeout(timer);
    connection.abort();
    if (isLocked()) return on.state("locked");
    if (document.hidden) return;
    connection = new AbortController();
    heard = false;
    timer = setTimeout(lost, SILENCE_MS);
    listen(connection.signal);
  }

  async function listen(signal) {
    const headers = lastEventId === null ? {} : { "last-event-id": lastEventId };
    let ended = false;
    try {
      const answer = await request("/events", { headers, signal });
      // What stands before the server may answer with a page of its own.
      if (answer.ok && answer.headers.get("content-type")?.startsWith("text/event-stream")) {
        await read(answer.body);
        ended = true;
      }
    } catch {
      // However it ended, it is over.
    }
    if (signal.aborted) return;
    // The server ends a stream now and then: a loss only if coming back fails, or brings nothing.
    if (ended && heard) comeBack();
    else lost();
  }

  async function read(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      events.forEach(hear);
    }
  }

  function hear(event) {
    const fields = Object.fromEntries(event.split("\n").map((line) => line.split(/: (.*)/, 2)));
    if (!EVENTS.includes(fields.event)) return;
    clearTimeout(timer);
    timer = setTimeout(lost, SILENCE_MS);
    retryMs = FIRST_RETRY_MS;
    heard = true;
    on.state("live");
    lastEventId = fields.id ?? lastEventId;
    on[fields.event](fields.data);
  }

  function lost() {
    connection.abort();
    on.state("offline");
    comeBack();
  }

  function comeBack() {
    clearTimeout(timer);
    timer = setTimeout(open, retryMs);
    retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
  }

  document.addEventListener("visibilitychange", open);
  addEventListener("online", open);
  addEventListener("offline", () => on.state("offline"));
  whenLocked(open);
  whenUnlocked(() => {
    // The summary is sent even if it has not changed: what belongs to it was refused.
    lastEventId = null;
    open();
  });
  open();
  return open;
}
