// The lookup page: one field, one order, and an honest word where there is none. The address always names what is shown.

import { request, whenUnlocked } from "./access.js";
import { announce, opensElsewhere } from "./elements.js";
import { clock, parse } from "./format.js";
import { showCustomer } from "./customer.js";
import { showOrder } from "./order.js";

/** An order that was placed a moment ago is waited for. */
const WAIT_SECONDS = 2;
const TIMEOUT_MS = 10_000;

const main = document.querySelector("main");
const form = main.querySelector("form");
const field = document.getElementById("order-id");
const article = document.getElementById("order");
let running = new AbortController();

function show(state, slots = {}) {
  for (const [name, text] of Object.entries(slots)) {
    for (const slot of main.querySelectorAll(`[data-slot="${name}"]`)) slot.textContent = text;
  }
  main.dataset.state = state;
  main.setAttribute("aria-busy", String(state === "loading"));
}

async function lookUp(orderId) {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  document.title = `${orderId} · Tally`;
  show("loading", { wanted: orderId });
  announce(`Looking for order ${orderId}`);
  let answer;
  let body;
  try {
    const path = `/orders/${encodeURIComponent(orderId)}?wait=${WAIT_SECONDS}`;
    answer = await request(path, { signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) });
    body = await answer.text();
  } catch {
    if (!signal.aborted) unavailable("the server could not be reached.");
    return;
  }
  if (signal.aborted) return;
  showFreshness(answer);
  if (answer.ok) return found(parse(body), signal);
  if (answer.status === 404) return notFound(orderId);
  unavailable(reason(answer, body));
}

function found(order, signal) {
  article.replaceChildren(...showOrder(order));
  show("found");
  announce(`Order ${order.order_id} found`);
  showCustomer(document.getElementById("customer"), order, signal);
}

function notFound(orderId) {
  show("not-found");
  announce(`No order has the id ${orderId}`);
}

function unavailable(text) {
  show("unavailable", { reason: text });
  announce("The order could not be looked up");
}

/** The problem document's own words, if it is one. */
function reason(answer, body) {
  try {
    return `${JSON.parse(body).detail} (${answer.status}).`;
  } catch {
    return `the server answered ${answer.status}.`;
  }
}

function showFreshness(answer) {
  const asOf = answer.headers.get("x-as-of");
  document.getElementById("freshness").textContent = asOf ? `as of ${clock(asOf)}` : "";
}

/** Shows what the address names. */
function follow() {
  const orderId = new URLSearchParams(location.search).get("order_id")?.trim() ?? "";
  field.value = orderId;
  if (orderId !== "") return lookUp(orderId);
  running.abort();
  document.title = "Find an order · Tally";
  show("idle");
}

function go(orderId) {
  const address = `/?order_id=${encodeURIComponent(orderId)}`;
  if (location.pathname + location.search !== address) history.pushState(null, "", address);
  follow();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const orderId = field.value.trim();
  if (orderId !== "") go(orderId);
});

main.addEventListener("click", (event) => {
  if (event.target.closest('[data-action="retry"]')) follow();
  const link = event.target.closest("a[data-order-id]");
  if (link && !opensElsewhere(event)) {
    event.preventDefault();
    go(link.dataset.orderId);
    scrollTo({ top: 0 });
    field.focus({ preventScroll: true });
  }
});

addEventListener("popstate", follow);
whenUnlocked(follow);
follow();
if (main.dataset.state === "idle") field.focus();
