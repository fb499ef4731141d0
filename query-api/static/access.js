// The API key, where the service wants one: asked for when an answer says so, kept for this tab, and sent with every question.

import { announce, element, opensElsewhere } from "./elements.js";

const STORED = "tally-api-key";

const main = document.querySelector("main");
const locked = [];
const unlocked = [];
let key = remembered();
let form = null;

/** `fetch` with the key. When the answer is that it is missing, unknown or may not read, the reader is asked for another. */
export async function request(path, { headers = {}, ...options } = {}) {
  const sent = key;
  const answer = await fetch(path, { ...options, headers: sent === null ? headers : { ...headers, authorization: `Bearer ${sent}` } });
  const isRefused = answer.status === 401 || (answer.status === 403 && sent !== null);
  // Others may have been on their way while a new key was given.
  if (isRefused && sent === key) lock();
  return answer;
}

/** Whether nothing can be asked until the reader gives a key. */
export function isLocked() {
  return form !== null;
}

/** What was let in before ends as well. */
export function whenLocked(end) {
  locked.push(end);
}

/** What was refused is asked for again. */
export function whenUnlocked(again) {
  unlocked.push(again);
}

function lock() {
  if (form !== null) return;
  const field = element("input", {
    id: "api-key", type: "password", required: "", autocomplete: "off", pattern: "[!-~]+", title: "Letters, digits and signs, without spaces",
    "aria-describedby": "api-key-hint",
  });
  form = element("form", { class: "lookup", id: "access" },
    element("label", { for: "api-key" }, "API key"),
    element("div", { class: "lookup-line" }, field, element("button", { type: "submit" }, "Use key")),
    element("p", { class: "hint", id: "api-key-hint" },
      key === null ? "This service answers only those who have a key that may read." : "That key is not known here, or may not read.",
      " It is kept in this tab until you close it."));
  // A pasted key may bring blanks along, which the pattern would refuse.
  field.addEventListener("input", () => { field.value = field.value.trim(); });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    unlock(field.value);
  });
  main.prepend(form);
  field.focus();
  for (const end of locked) end();
}

function unlock(given) {
  key = given;
  form.remove();
  form = null;
  // The focus was in the form, and would begin again at the top of the page.
  main.tabIndex = -1;
  main.focus();
  try {
    sessionStorage.setItem(STORED, key);
  } catch {
    // Where nothing may be stored the key lasts as long as the page.
  }
  for (const again of unlocked) again();
}

function remembered() {
  try {
    return sessionStorage.getItem(STORED);
  } catch {
    return null;
  }
}

/** A link cannot send the key: what it leads to is fetched, and shown as text. */
document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-answer]");
  if (link === null || key === null || opensElsewhere(event)) return;
  event.preventDefault();
  try {
    const answer = await request(link.href);
    if (!answer.ok) return announce(`This cannot be shown: the server answered ${answer.status}`);
    const text = new Blob([await answer.text()], { type: "text/plain;charset=utf-8" });
    location.assign(URL.createObjectURL(text));
  } catch {
    announce("The server could not be reached");
  }
});
