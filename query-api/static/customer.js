// Who ordered: the customer's statistics and newest orders, as far as they can be had. The order stands without them.

import { request } from "./access.js";
import { copyable, element, time } from "./elements.js";
import { counted, day, money, parse } from "./format.js";

const NEWEST = 5;

export async function showCustomer(target, order, signal) {
  const query = encodeURIComponent(order.user_id);
  const headline = element("h2", {}, element("span", { class: "eyebrow" }, "Customer"), copyable(order.user_id, "customer id"));
  target.replaceChildren(headline, element("p", { class: "muted" }, "Looking up their other orders …"));
  const [statistics, newest] = await Promise.all([
    read(`/users?user_id=${query}`, signal),
    read(`/orders?user_id=${query}&limit=${NEWEST + 1}`, signal),
  ]);
  if (signal.aborted) return;
  target.replaceChildren(
    headline,
    statistics ? totals(statistics) : element("p", { class: "muted" }, "Their statistics cannot be had at the moment."),
    ...others(newest?.orders ?? [], order),
  );
}

async function read(path, signal) {
  try {
    const answer = await request(path, { signal });
    return answer.ok ? parse(await answer.text()) : null;
  } catch {
    return null;
  }
}

function totals(statistics) {
  const lines = statistics.currencies.map((of) => element("li", {},
    element("strong", {}, money(of.total_amount, of.currency)),
    ` in ${counted(of.order_count, "order")}, `,
    `${money(of.average_amount, of.currency)} on average, since `,
    time(of.first_order_at, day(of.first_order_at))));
  return element("ul", { class: "totals" }, lines);
}

function others(orders, shown) {
  const rest = orders.filter((order) => order.order_id !== shown.order_id).slice(0, NEWEST);
  if (rest.length === 0) return [];
  const links = rest.map((order) => element("li", {},
    element("a", { href: `/?order_id=${encodeURIComponent(order.order_id)}`, "data-order-id": order.order_id }, order.order_id),
    time(order.created_at, day(order.created_at)),
    element("span", { class: "number" }, money(order.amount, order.currency))));
  return [element("h3", {}, "Their newest orders"), element("ul", { class: "newest" }, links)];
}
