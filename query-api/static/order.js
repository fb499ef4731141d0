// One order as a page shows it: a pure function from the answer to elements.

import { copyable, definitions, element, time } from "./elements.js";
import { counted, instant, integer, money, plain, sum, unixSeconds } from "./format.js";

/** Rows of items shown before the reader asks for all of them. */
const FIRST_ITEMS = 50;

const DELIVERY = { name: "Name", phone: "Phone", address: "Address", zip: "Postcode", city: "City", region: "Region", email: "Email" };

export function showOrder(order) {
  return [
    head(order),
    element("section", { class: "customer", id: "customer", "aria-label": "Customer" }),
    items(order),
    element("div", { class: "parts" }, delivery(order), payment(order)),
    others("Further fields", order.attributes),
    element("p", { class: "raw" },
      element("a", { href: `/orders/${encodeURIComponent(order.order_id)}`, "data-answer": "" }, "This order as JSON")),
  ].filter((part) => part !== null);
}

function head(order) {
  return element("header", { class: "order-head" },
    element("h1", {},
      element("span", { class: "eyebrow" }, "Order"),
      copyable(order.order_id, "order id")),
    element("p", { class: "amount" }, money(order.amount, order.currency)),
    element("p", { class: "placed" }, "Placed ", time(order.created_at, instant(order.created_at))),
    definitions([["Track number", order.track_number && copyable(order.track_number, "track number")]]));
}

function items(order) {
  const all = order.items ?? [];
  if (all.length === 0) {
    return section("Items", element("p", { class: "muted" }, "The order lists no items."));
  }
  const body = element("tbody", {}, all.slice(0, FIRST_ITEMS).map((item) => row(item, order.currency)));
  const table = element("table", {},
    element("thead", {}, element("tr", {},
      element("th", { scope: "col" }, "Item"),
      element("th", { scope: "col", class: "number" }, "Quantity"),
      element("th", { scope: "col", class: "number" }, "Unit price"),
      element("th", { scope: "col", class: "number" }, "Total"))),
    body,
    element("tfoot", {}, element("tr", {},
      element("th", { scope: "row", colspan: 3 }, "Sum of items"),
      element("td", { class: "number" }, money(sum(all.map((item) => item.total_price)), order.currency)))));
  return section(counted(all.length, "item"), table, all.length > FIRST_ITEMS ? showAll(body, all, order.currency) : null);
}

function showAll(body, all, currency) {
  const button = element("button", { type: "button", class: "quiet" }, `Show all ${integer(all.length)} items`);
  button.addEventListener("click", () => {
    body.append(...all.slice(FIRST_ITEMS).map((item) => row(item, currency)));
    button.remove();
  });
  return element("p", {}, button);
}

function row(item, currency) {
  const name = item.name ?? item.sku;
  const price = (amount) => (amount === undefined ? "–" : money(amount, currency));
  return element("tr", {},
    element("td", {},
      element("span", { class: "item-name" }, name),
      item.sku !== undefined && item.name !== undefined ? element("code", { class: "sku" }, item.sku) : null,
      itemFields(item.attributes)),
    element("td", { class: "number", "data-label": "Quantity" }, integer(item.quantity)),
    element("td", { class: "number", "data-label": "Unit price" }, price(item.unit_price)),
    element("td", { class: "number", "data-label": "Total" }, price(item.total_price)));
}

function itemFields(attributes) {
  const fields = Object.entries(attributes ?? {});
  if (fields.length === 0) return null;
  return element("details", {}, element("summary", {}, counted(fields.length, "more field")),
    definitions(fields.map(([name, value]) => [name, plain(value)])));
}

function delivery(order) {
  const to = order.delivery;
  if (!to) return null;
  const known = Object.entries(DELIVERY).map(([name, title]) => [title, to[name]]);
  return section("Delivery", definitions([...known, ...extra(to)]));
}

function payment(order) {
  const by = order.payment;
  if (!by) return null;
  const inItsCurrency = (amount) => amount && money(amount, by.currency ?? order.currency);
  return section("Payment", definitions([
    ["Amount", inItsCurrency(by.amount)],
    ["Goods", inItsCurrency(by.goods_total)],
    ["Delivery", inItsCurrency(by.delivery_cost)],
    ["Custom fee", inItsCurrency(by.custom_fee)],
    ["Provider", by.provider],
    ["Bank", by.bank],
    ["Paid", by.payment_dt && unixSeconds(by.payment_dt)],
    ["Transaction", by.transaction && copyable(by.transaction, "transaction")],
    ["Request", by.request_id && copyable(by.request_id, "request id")],
    ...extra(by),
  ]));
}

function extra(part) {
  return Object.entries(part.attributes ?? {}).map(([name, value]) => [name, plain(value)]);
}

function others(title, attributes) {
  const fields = Object.entries(attributes ?? {});
  return fields.length > 0 ? section(title, definitions(fields.map(([name, value]) => [name, plain(value)]))) : null;
}

function section(title, ...content) {
  return element("section", { class: "part" }, element("h2", {}, title), content);
}
