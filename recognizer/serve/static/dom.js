// Elements, messages and numbers. Whatever comes from files and names gets into the page as text, never as HTML.

export const $ = (selector) => document.querySelector(selector);

/** Make an element: attributes by name, `on...` handlers, `text`; children are elements or text. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "text") element.textContent = value;
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Make an element of a drawing. */
export function svg(tag, properties = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Tell screen readers. */
export function announce(text) {
  const live = $("#live");
  live.textContent = "";
  requestAnimationFrame(() => { live.textContent = text; });
}

/** Show a message; `action` is [label, what it does]. Failures stay until they are closed. */
export function notice(text, { bad = false, action = null, lines = [], seconds = 6 } = {}) {
  const box = h("div", { class: bad ? "notice bad" : "notice", role: bad ? "alert" : "status" }, h("p", { text }));
  if (lines.length) box.append(h("ul", {}, ...lines.map((line) => h("li", { text: line }))));
  const close = () => box.remove();
  if (action) box.append(h("button", { type: "button", text: action[0], onclick: () => { close(); action[1](); } }));
  box.append(h("button", { type: "button", class: "icon", "aria-label": "Close this message", text: "×", onclick: close }));
  const notices = $("#notices");
  notices.append(box);
  while (notices.children.length > 4) notices.firstElementChild.remove();
  if (!bad) setTimeout(close, 1000 * seconds);
  return close;
}

/** A dialog in the middle of the page, gone when it is closed. */
export function dialog(title, ...children) {
  const close = h("button", { type: "button", class: "icon close", "aria-label": "Close", text: "×", onclick: () => box.close() });
  const box = h("dialog", { "aria-label": title }, h("div", { class: "head" }, h("h2", { text: title }), close), ...children);
  box.addEventListener("close", () => box.remove());
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  document.body.append(box);
  box.showModal();
  box.querySelector("[autofocus], form select, form input, .main:not(:disabled)")?.focus();
  return box;
}

const probes = new Map();
/** A color of the style sheet as canvases take it, for the theme in use. */
export function color(name) {
  if (!probes.has(name)) {
    const probe = h("i", { class: "hidden", "aria-hidden": "true" });
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    probes.set(name, probe);
  }
  return getComputedStyle(probes.get(name)).color;
}

export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;
export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/** Seconds as a clock shows them. */
export function clock(seconds, digits = 1) {
  const minutes = Math.floor(seconds / 60), rest = seconds - 60 * minutes;
  return `${minutes}:${rest.toFixed(digits).padStart(digits ? 3 + digits : 2, "0")}`;
}

/** A duration in words. */
export function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
