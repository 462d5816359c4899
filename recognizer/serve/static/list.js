// The list of items: thousands of them, of which only those in view are drawn.

import { get } from "./api.js";
import { $, announce, h, percent, plural } from "./dom.js";
import { DOUBTFUL, UNSURE } from "./words.js";

const ROW = 70, BLOCK = 500, AROUND = 6; // pixels of a row, items of a request, rows drawn beyond those in view
export const STATES = { new: ["○", "New"], read: ["◐", "Read"], corrected: ["✓", "Corrected"], learnt: ["★", "Learnt"] };

export class List {
  /** `open(id)`: an item was chosen. */
  constructor(open) {
    this.open = open;
    this.items = [];
    this.places = new Map();
    this.total = 0;
    this.chosen = null;
    this.state = "";
    this.box = $("#list");
    this.rows = $("#rows");
    this.box.addEventListener("scroll", () => this.#draw(), { passive: true });
    this.box.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#draw()).observe(this.box);
    let timer;
    $("#search").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => this.load(), 150); });
    for (const name of ["#sort", "#kind"]) $(name).addEventListener("change", () => this.load());
    this.#addStates();
  }

  #addStates() {
    const choices = [["", ["", "All"]], ...Object.entries(STATES)];
    for (const [value, [sign, label]] of choices) {
      const input = h("input", { type: "radio", name: "state", value, checked: value === "", onchange: () => { this.state = value; this.load(); } });
      const mark = h("i", { "aria-hidden": "true", text: sign });
      $("#states").append(h("label", {}, input, h("span", {}, mark, label, h("b", { id: `count-${value || "all"}`, text: "0" }))));
    }
  }

  /** Show how many items are in each state. */
  count(counts) {
    this.counted = true;
    let all = 0;
    for (const name of Object.keys(STATES)) {
      $(`#count-${name}`).textContent = (counts[name] || 0).toLocaleString("en");
      all += counts[name] || 0;
    }
    $("#count-all").textContent = all.toLocaleString("en");
  }

  /** What is asked for, as the address of the list and of exports has it. */
  query() {
    const values = { state: this.state, kind: $("#kind").value, q: $("#search").value.trim() };
    return new URLSearchParams(Object.entries(values).filter(([, value]) => value));
  }

  /** Load the list anew; the order then stays as it is, whatever is corrected meanwhile. */
  async load() {
    this.stop?.abort();
    const stop = this.stop = new AbortController();
    const query = this.query();
    query.set("sort", $("#sort").value);
    query.set("limit", BLOCK);
    const found = [], known = new Set(), news = this.news = new Map(); // items that changed while an answer was on its way
    this.counted = false; // whether newer counts came meanwhile
    try {
      for (let offset = 0, total = 1; offset < total; offset += BLOCK) {
        query.set("offset", offset);
        const part = await get(`/api/items?${query}`, stop.signal);
        total = part.total;
        for (const item of part.items) {
          if (known.has(item.id)) continue; // it moved while the list was loaded
          known.add(item.id);
          found.push(news.get(item.id) ?? item);
        }
        if (offset === 0 && !this.counted) this.count(part.counts);
        this.#take(found, total);
      }
      this.#take(found, found.length);
      this.news = null;
      announce(plural(found.length, "item"));
    } catch (error) {
      if (error.name !== "AbortError" && error.status) throw error; // a service that is gone is told by the news
    }
  }

  #take(items, total) {
    this.items = items;
    this.total = total;
    this.places = new Map(items.map((item, place) => [item.id, place]));
    this.rows.style.height = `${ROW * total}px`;
    this.#draw();
  }

  /** Put the new state of an item in its place. */
  update(item) {
    this.news?.set(item.id, item);
    const place = this.places.get(item.id);
    if (place !== undefined) {
      this.items[place] = item;
      this.#draw();
    }
    return place !== undefined;
  }

  get(id) { return this.items[this.places.get(id)]; }

  /** The id of the item so many places further; null: there is none. */
  beside(id, step) {
    const place = this.places.get(id);
    return (place === undefined ? this.items[0] : this.items[place + step])?.id ?? null;
  }

  /** Mark the item that is open, and bring it into view. */
  choose(id) {
    this.chosen = id;
    const place = this.places.get(id);
    if (place !== undefined) {
      const top = place * ROW, { scrollTop, clientHeight } = this.box;
      if (top < scrollTop) this.box.scrollTop = top;
      else if (top + ROW > scrollTop + clientHeight) this.box.scrollTop = top + ROW - clientHeight;
    }
    this.#draw();
  }

  #key(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    const far = { Home: 0, End: this.items.length - 1 };
    let id = null;
    if (event.key in steps) id = this.beside(this.chosen, steps[event.key]);
    else if (event.key in far) id = this.items[far[event.key]]?.id;
    else if (event.key === "Enter" && this.chosen) id = this.chosen;
    if (!id) return;
    event.preventDefault();
    this.open(id, event.key === "Enter");
  }

  #draw() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - AROUND);
    const last = Math.min(this.items.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW) + AROUND);
    this.rows.replaceChildren(...this.items.slice(first, last).map((item, number) => this.#row(item, first + number)));
    if (!this.items.length) {
      const filtered = this.query().size > 0; // else there is a button, which only a narrow page shows: it has no other welcome
      this.rows.append(h("div", { class: "empty" }, h("p", { text: filtered ? "Nothing matches." : "No items yet." }),
        filtered ? null : h("p", { class: "buttons" }, h("button", { type: "button", class: "main", text: "Choose files", onclick: () => $("#add").click() }))));
    }
    const active = document.getElementById(`row-${this.places.get(this.chosen)}`);
    if (active) this.box.setAttribute("aria-activedescendant", active.id);
    else this.box.removeAttribute("aria-activedescendant");
  }

  #row(item, place) {
    const [sign, label] = STATES[item.state];
    const sure = item.confidence, done = item.state === "corrected" || item.state === "learnt";
    const level = sure === null || done ? "" : sure < DOUBTFUL ? " doubtful" : sure < UNSURE ? " unsure" : "";
    const text = item.error || item.text || (item.state === "new" ? "waits to be read" : "(nothing)");
    const measure = sure === null || done ? h("span", { class: "state", text: label })
      : h("span", { class: `measure${level}`, title: "Mean confidence of its words", text: percent(sure) });
    const row = h("div", {
      role: "option", id: `row-${place}`, class: `row ${item.state}`, "aria-selected": String(item.id === this.chosen),
      "aria-setsize": this.total, "aria-posinset": place + 1, onclick: () => this.open(item.id, true),
    },
    h("span", { class: "sign", title: label }, h("i", { "aria-hidden": "true", text: sign }), h("span", { class: "hidden", text: `${label}: ` })),
    h("span", { class: "what" }, h("span", { class: "file", text: shortName(item) }),
      h("span", { class: item.error ? "snippet wrong" : "snippet", dir: "auto", text: text.slice(0, 160) })), measure);
    row.style.top = `${place * ROW}px`;
    return row;
  }
}

/** A name that still tells items apart when its end is cut off: of a line of a page, the line first. */
export function shortName({ id, name, group, page }) {
  const line = page ? id.slice(page.length + 1) : "", whole = (group ? `${group}/` : "") + name;
  return line && name.endsWith(` ${line}`) ? `${line.replaceAll("_", " ")} · ${whole.slice(0, -line.length - 1)}` : whole;
}
