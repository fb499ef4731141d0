// The dashboard: the summary arrives by itself, and what belongs to it is asked for again when it has changed.

import { request } from "./access.js";
import { announce, element } from "./elements.js";
import { clock, parse, plain } from "./format.js";
import { follow } from "./live.js";
import { anomalies, currencyChoices, lag, newestOrders, salesTable, topUsers, totals } from "./panels.js";

/** Between two times that the panels are asked for again, however fast orders come in. */
const REFRESH_MS = 2_000;
const TIMEOUT_MS = 10_000;
const ROWS = 8;
/** How many bars a chart has, so that each can be told from the next: up to the latest sale, which may be older than today. */
const BARS = { hour: 72, day: 60, month: 24, year: 24 };

const SAID = { live: "The figures are live", offline: "The connection is lost", locked: "An API key is needed" };

const main = document.querySelector("main");
const byId = (id) => document.getElementById(id);
const chart = byId("chart");
const salesDetails = byId("sales-table");
const narrow = matchMedia("(max-width: 40rem)");
const choice = read();
let summary = null;
let freshness = null;

/** What the address names. */
function read() {
  const named = new URLSearchParams(location.search);
  return { currency: named.get("currency"), grain: named.get("grain") ?? "day" };
}

function write() {
  const named = new URLSearchParams({ currency: choice.currency, grain: choice.grain });
  history.replaceState(null, "", `/dashboard?${named}`);
}

/* What comes by itself */

const reconnect = follow({
  summary(text) {
    summary = parse(text);
    chooseCurrency();
    showTotals();
    refreshSoon();
  },
  freshness(text) {
    const before = freshness;
    freshness = parse(text);
    showFreshness();
    if (before === null || plain(before.lag) !== plain(freshness.lag)) refreshSoon();
  },
  state(state) {
    if (main.dataset.state === state) return;
    main.dataset.state = state;
    byId("offline").hidden = state !== "offline";
    announce(SAID[state]);
    showFreshness();
    if (state === "live" && summary !== null) refreshSoon();
  },
});

function chooseCurrency() {
  const known = summary.currencies.map((of) => of.currency);
  const most = summary.currencies.toSorted((a, b) => Number(plain(b.order_count)) - Number(plain(a.order_count)))[0];
  if (!known.includes(choice.currency)) choice.currency = most?.currency ?? null;
  const shown = [...byId("currencies").querySelectorAll("input")].map((input) => input.value);
  if (shown.join() === known.join()) return;
  byId("currencies").replaceChildren(element("legend", {}, "Currency"), ...currencyChoices(summary, choice.currency));
}

function showTotals() {
  main.setAttribute("aria-busy", "false");
  byId("totals").replaceChildren(...totals(summary, choice.currency));
}

function showFreshness() {
  const isLive = main.dataset.state === "live";
  const asOf = freshness?.as_of ? clock(freshness.as_of) : null;
  byId("away").hidden = !(isLive && freshness?.database === "away");
  byId("live").dataset.state = isLive && freshness?.database !== "away" ? "live" : "stale";
  byId("connection").textContent = isLive ? `Live${asOf ? `, as of ${asOf}` : ""}`
    : main.dataset.state === "locked" ? "Waiting for a key" : `Offline${asOf ? ` since ${asOf}` : ""}`;
  for (const slot of main.querySelectorAll('[data-slot="as-of"]')) slot.textContent = asOf ?? "earlier";
}

/* What is asked for */

/** Everything that the present choice asks for. */
let asking = new AbortController();
let isDue = false;
let isBusy = false;

/** At once if nothing was asked for lately, else when it is time again; never two at once. */
async function refreshSoon() {
  isDue = true;
  if (isBusy) return;
  isBusy = true;
  while (isDue) {
    isDue = false;
    await refresh();
    await new Promise((resolve) => setTimeout(resolve, REFRESH_MS));
  }
  isBusy = false;
}

/** What an earlier choice asked for is not waited for: the slower answer would be shown last. */
function refreshAnew() {
  asking.abort();
  asking = new AbortController();
  refresh();
}

async function refresh() {
  const currency = choice.currency === null ? "" : `&currency=${encodeURIComponent(choice.currency)}`;
  await Promise.all([
    fill("top", `/users/top?limit=${ROWS}${currency}`, topUsers),
    fill("anomalies", `/users/anomalies?limit=${ROWS}${currency}`, anomalies),
    fill("newest", `/orders?limit=${ROWS}`, newestOrders),
    fill("lag", "/lag", (answer) => lag(answer, freshness?.as_of ?? answer.read_at)),
    showSales(),
  ]);
}

/** A panel that cannot be had keeps what it shows. */
async function fill(id, path, show) {
  const answer = await ask(path);
  if (answer === null) return;
  const shown = [show(answer)].flat();
  const panel = byId(id);
  const focused = panel.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  panel.replaceChildren(...shown);
  if (focused !== null) panel.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

/** An answer is waited for until its time is up, or something else is chosen. */
function patience() {
  return AbortSignal.any([asking.signal, AbortSignal.timeout(TIMEOUT_MS)]);
}

async function ask(path) {
  try {
    const answer = await request(path, { signal: patience() });
    return answer.ok ? parse(await answer.text()) : null;
  } catch {
    return null;
  }
}

async function showSales() {
  const query = new URLSearchParams({ grain: choice.grain, limit: BARS[choice.grain] });
  if (choice.currency !== null) query.set("currency", choice.currency);
  await Promise.all([showChart(query), showTable(query)]);
}

/** Drawn by the server, and fetched, since a picture sends no key. The old one stays until the new one is there. */
async function showChart(query) {
  const next = new Image();
  const signal = patience();
  try {
    const path = `/charts/sales.svg?${query}&size=${narrow.matches ? "narrow" : "wide"}`;
    const answer = await request(path, { signal });
    if (!answer.ok) return;
    next.src = URL.createObjectURL(await answer.blob());
    await next.decode();
    signal.throwIfAborted();
  } catch {
    URL.revokeObjectURL(next.src);
    return;
  }
  URL.revokeObjectURL(chart.src);
  chart.src = next.src;
  chart.width = next.naturalWidth;
  chart.height = next.naturalHeight;
  chart.alt = `Sales in ${query.get("currency") ?? "all currencies"} by ${query.get("grain")}; the same follows as a table`;
  chart.hidden = false;
}

async function showTable(query) {
  if (!salesDetails.open) return;
  const answer = await ask(`/sales?${query}`);
  if (answer !== null) salesDetails.querySelector(".scroll").replaceChildren(salesTable(answer));
}

/* What the reader chooses */

document.querySelector(".choices").addEventListener("change", (event) => {
  choice[event.target.name] = event.target.value;
  write();
  if (summary !== null) showTotals();
  refreshAnew();
});
document.querySelector(".choices").addEventListener("submit", (event) => event.preventDefault());
salesDetails.addEventListener("toggle", showSales);
narrow.addEventListener("change", refreshAnew);
byId("reconnect").addEventListener("click", () => reconnect());
const grain = document.querySelector(`[name="grain"][value="${CSS.escape(choice.grain)}"]`);
if (grain) grain.checked = true;
else choice.grain = "day";
