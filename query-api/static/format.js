// How values read: money and numbers digit by digit, times in the reader's zone. No value here ever becomes a float.

const locale = navigator.languages;

/** "8911407.904", "GBP" → "£8,911,407.904". Intl formats a decimal's text exactly; a float would lose digits. */
export function money(amount, currency) {
  try {
    return new Intl.NumberFormat(locale, {
      style: "currency",
      currency,
      minimumFractionDigits: 2,
      maximumFractionDigits: 4,
    }).format(amount);
  } catch {
    return `${amount} ${currency}`;
  }
}

/** The instant in the reader's zone, with the zone's name. */
export function instant(text) {
  return new Intl.DateTimeFormat(locale, { dateStyle: "long", timeStyle: "long" }).format(new Date(text));
}

/** The same in short. */
export function moment(text) {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }).format(new Date(text));
}

export function day(text) {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium" }).format(new Date(text));
}

export function clock(text) {
  return new Intl.DateTimeFormat(locale, { timeStyle: "medium" }).format(new Date(text));
}

const DECIMALS = 4;

/** The sum of decimals with up to four places, as such a decimal. */
export function sum(amounts) {
  const units = amounts.reduce((total, amount) => {
    const [integer, fraction = ""] = amount.split(".");
    return total + BigInt(integer + fraction.padEnd(DECIMALS, "0"));
  }, 0n);
  const digits = units.toString().padStart(DECIMALS + 1, "0");
  return `${digits.slice(0, -DECIMALS)}.${digits.slice(-DECIMALS)}`;
}

/** A number as its digits stand in the answer. */
class Digits {
  constructor(text) {
    this.text = text;
  }
}

/** Reads JSON and keeps the digits of every number, where the browser shows them. */
export function parse(json) {
  return JSON.parse(json, (_key, value, context) =>
    typeof value === "number" && context?.source ? new Digits(context.source) : value);
}

/** A value that no page knows, as JSON; a string as itself, unless there would be nothing to see. */
export function plain(value) {
  return typeof value === "string" && value !== "" ? value : print(value);
}

function print(value) {
  if (value instanceof Digits) return value.text;
  if (Array.isArray(value)) return `[${value.map(print).join(", ")}]`;
  if (value !== null && typeof value === "object") {
    const members = Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}: ${print(member)}`);
    return `{${members.join(", ")}}`;
  }
  return JSON.stringify(value);
}

export function integer(value) {
  return new Intl.NumberFormat(locale).format(value instanceof Digits ? BigInt(value.text) : value);
}

/** "1 order", "2 orders". */
export function counted(value, noun) {
  return `${integer(value)} ${noun}${plain(value) === "1" ? "" : "s"}`;
}

/** Seconds since 1970, as an instant's text. */
export function unixSeconds(value) {
  const date = new Date(Number(plain(value)) * 1000);
  return Number.isNaN(date.valueOf()) ? plain(value) : instant(date.toISOString());
}
