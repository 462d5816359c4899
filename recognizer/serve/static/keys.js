// The keys of the page, and the list of them.

import { dialog, h } from "./dom.js";

const HELP = [
  ["Words", [["Tab", "next word: it is played, or shown in the picture"], ["← →", "word before, word after"], ["any letter", "replaces the word"], ["↓", "alternatives; ↑ ↓ choose, Enter takes"],
    ["Space", "play the word again"], ["Delete", "remove the word"], ["F2", "the whole text, and back to words"]]],
  ["Item", [["Enter", "save, and go on to the next"], ["Ctrl+Z", "undo; with nothing to undo: take back what was saved last"], ["Page Down, Page Up", "next, previous item without saving"],
    ["Ctrl+Space", "play, pause"], ["Ctrl+L", "spikes: what the network sees"], ["+ −", "zoom"], ["Esc", "back to the list"]]],
  ["Page", [["/", "search"], ["a", "add files"], ["r", "record"], ["w", "write"], ["x", "export"], ["t", "teach"], ["d", "dark or light"], ["?", "these keys"]]],
];
const OFF = "recognizer-no-letters";

/** Listen to keys; `does` holds what the actions do, by name. */
export function listen(does) {
  const single = { "/": "search", a: "add", r: "record", w: "write", x: "export", t: "teach", d: "theme", "?": "keys", "+": "wider", "=": "wider", "-": "narrower" };
  const others = { PageDown: "next", PageUp: "previous", F2: "text" };
  const control = { z: "undo", " ": "play", l: "spikes" };
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = event.target.closest?.("input:not([type=radio]), textarea, select");
    const combined = event.ctrlKey || event.metaKey;
    let name = null;
    if (combined) name = control[event.key.toLowerCase()];
    else if (others[event.key] && event.target.tagName !== "SELECT") name = others[event.key];
    else if (event.key === "Escape" && event.target.id !== "list") name = "list";
    else if (!typing && event.key.length === 1 && (lettersOn() || event.key === "?")) name = single[event.key.toLowerCase()];
    if (name === "undo" && typing && !does.untouched(event.target)) return; // the field's own undo
    if (name === "text" && typing && event.target.type === "search") return;
    if (!name) return;
    event.preventDefault();
    does[name]();
  });
}

function lettersOn() {
  try { return !localStorage.getItem(OFF); } catch { return true; }
}

/** Show the list of keys. */
export function showKeys() {
  const parts = HELP.map(([title, keys]) => h("section", {}, h("h3", { text: title }), h("dl", {}, ...keys.flatMap(([key, text]) => [
    h("dt", {}, ...key.split(/(?<=\w\w+), | (?=[←→−])/).map((each) => h("kbd", { text: each }))), h("dd", { text })]))));
  const box = h("input", { type: "checkbox", checked: lettersOn(), onchange: () => {
    try { if (box.checked) localStorage.removeItem(OFF); else localStorage.setItem(OFF, "1"); } catch { /* storage is switched off */ }
  } });
  dialog("Keys", h("div", { class: "keys" }, ...parts), h("label", { class: "choice" }, box, h("span", { text: "Keys of a single letter (outside of words and fields)" }))).classList.add("wide");
}
