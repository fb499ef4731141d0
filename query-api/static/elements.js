// Making elements. Text becomes text and nothing else: no markup is ever read from data.

/** `element("p", {class: "hint"}, "text", child, …)`; null and undefined children are left out. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export function time(datetime, text) {
  return element("time", { datetime, title: datetime }, text);
}

/** An id to read and to copy. */
export function copyable(id, what) {
  const shown = element("code", { class: "id" }, id);
  if (!navigator.clipboard) return shown;
  const button = element("button", { type: "button", class: "copy", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(id);
      say(button, "Copied");
    } catch {
      say(button, "Not allowed");
    }
  });
  return element("span", { class: "copyable" }, shown, button);
}

const SAID_FOR_MS = 1600;

function say(button, text) {
  button.textContent = text;
  announce(text);
  setTimeout(() => { button.textContent = "Copy"; }, SAID_FOR_MS);
}

/** For those who listen to the page. */
export function announce(text) {
  document.getElementById("announcement").textContent = text;
}

/** Whether a click on a link asks for another tab or window, which is the browser's to open. */
export function opensElsewhere(event) {
  return event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0;
}

/** Names with values; `pairs` without a value are left out. */
export function definitions(pairs) {
  const rows = pairs
    .filter(([, value]) => value !== undefined && value !== null && value !== "")
    .map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)));
  return rows.length > 0 ? element("dl", {}, rows) : null;
}
