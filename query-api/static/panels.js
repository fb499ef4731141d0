// The dashboard's panels: pure functions from answers to elements.

import { element, time } from "./elements.js";
import { clock, counted, integer, moment, money, plain } from "./format.js";

/** A consumer tells where its partitions end every second. */
const SILENT_AFTER_MS = 10_000;

export function totals(summary, currency) {
  const chosen = summary.currencies.find((of) => of.currency === currency);
  return [
    figure("Orders", integer(summary.order_count), "lead"),
    chosen
      ? figure(`Sold in ${currency}`, money(chosen.total_amount, currency), "lead", `${counted(chosen.order_count, "order")}`)
      : null,
    figure("Customers", integer(summary.user_count)),
    figure("Set aside", integer(summary.dead_letter_count), null, "records that are no orders"),
    figure("Latest order", summary.last_order_at ? time(summary.last_order_at, moment(summary.last_order_at)) : "none yet", "words"),
  ].filter((part) => part !== null);
}

function figure(name, value, kind, note) {
  return element("div", { class: `figure ${kind ?? ""}` },
    element("p", { class: "eyebrow" }, name),
    element("p", { class: "figure-value" }, value),
    note ? element("p", { class: "figure-note" }, note) : null);
}

/** A radio button for each; the chosen one is checked. */
export function currencyChoices(summary, chosen) {
  return summary.currencies.map(({ currency }) => {
    const input = element("input", { type: "radio", name: "currency", value: currency });
    input.checked = currency === chosen;
    return element("label", {}, input, element("span", {}, currency));
  });
}

export function topUsers({ users, currency }) {
  if (users.length === 0) return nothing("Nobody has ordered yet.");
  const largest = Number(users[0].total_amount);
  return element("ol", { class: "ranking" }, users.map((user) => {
    const bar = element("span", { class: "share", "aria-hidden": "true" });
    // Only the bar's length is a float; the amount beside it is exact.
    bar.style.inlineSize = `${largest > 0 ? (100 * Number(user.total_amount)) / largest : 0}%`;
    return element("li", {},
      line(who(user.user_id), money(user.total_amount, currency)),
      line(element("span", { class: "track" }, bar), counted(user.order_count, "order"), "note"));
  }));
}

export function anomalies({ users, count, sigma, currency }) {
  const rule = `more than ${plain(sigma)} standard deviations above the average in ${currency}`;
  if (users.length === 0) return nothing(`Nobody is ${rule}.`);
  const all = `${counted(count, "customer")} ${plain(count) === "1" ? "is" : "are"} ${rule}.`;
  const rest = Number(plain(count)) - users.length;
  return [
    element("p", { class: "note" }, all),
    element("ul", { class: "rows" }, users.map((user) => element("li", {},
      line(who(user.user_id), money(user.total_amount, currency)),
      line(element("span", { class: "tags" },
        user.spending_anomaly ? element("span", { class: "tag" }, "spends much") : null,
        user.order_anomaly ? element("span", { class: "tag" }, "orders often") : null),
      counted(user.order_count, "order"), "note")))),
    rest > 0 ? element("p", { class: "note" },
      element("a", { href: `/users/anomalies?currency=${currency}`, "data-answer": "" }, `All ${integer(count)} as JSON`)) : null,
  ].filter((part) => part !== null);
}

export function newestOrders({ orders }) {
  if (orders.length === 0) return nothing("No order has come in yet.");
  return element("ul", { class: "rows" }, orders.map((order) => element("li", {},
    line(
      element("a", { class: "who", href: `/?order_id=${encodeURIComponent(order.order_id)}`, title: order.order_id }, order.order_id),
      money(order.amount, order.currency)),
    line(who(order.user_id), time(order.created_at, moment(order.created_at)), "note"))));
}

/** Something that may be cut, and what it comes to. */
function line(what, figure, kind) {
  return element("span", { class: `line ${kind ?? ""}` }, what, element("span", { class: "number" }, figure));
}

function who(id) {
  return element("span", { class: "who", title: id }, id);
}

export function lag({ lag: records, read_at: readAt, partitions }, asOf) {
  const known = partitions.filter((of) => of.end_offset !== null);
  if (known.length === 0) return nothing("No consumer has told how far it is yet.");
  const isSilent = new Date(asOf) - new Date(readAt) > SILENT_AFTER_MS;
  return [
    element("p", { class: "figure-value" }, integer(records)),
    element("p", { class: isSilent ? "note warning" : "note" }, isSilent
      ? `records, as far as is known: a consumer was last heard of at ${clock(readAt)}`
      : `${plain(records) === "1" ? "record" : "records"} that ${plain(records) === "1" ? "is" : "are"} not counted yet`),
    element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Partitions" },
      element("table", { class: "compact" },
        element("thead", {}, element("tr", {}, ["Partition", "Applied to", "Ends at", "Waiting"].map((name, index) =>
          element("th", { scope: "col", class: index > 0 ? "number" : "" }, name)))),
        element("tbody", {}, known.map((of) => element("tr", {},
          element("th", { scope: "row" }, `${of.topic} ${plain(of.partition)}`),
          ...[of.next_offset, of.end_offset, of.lag].map((value) => element("td", { class: "number" }, integer(value)))))))),
  ];
}

export function salesTable({ buckets, currency, grain }) {
  if (buckets.length === 0) return nothing("Nothing was sold.");
  const letters = { hour: 16, day: 10, month: 7, year: 4 }[grain];
  return element("table", { class: "compact" },
    element("thead", {}, element("tr", {},
      element("th", { scope: "col" }, "From (UTC)"),
      ["Orders", "Items", "Amount"].map((name) => element("th", { scope: "col", class: "number" }, name)))),
    element("tbody", {}, buckets.toReversed().map((bucket) => element("tr", {},
      element("th", { scope: "row" }, time(bucket.bucket, bucket.bucket.slice(0, letters).replace("T", " "))),
      element("td", { class: "number" }, integer(bucket.order_count)),
      element("td", { class: "number" }, integer(bucket.item_count)),
      element("td", { class: "number" }, money(bucket.amount, currency))))));
}

function nothing(text) {
  return element("p", { class: "muted" }, text);
}
