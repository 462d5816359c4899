// The item that is open: its source, its words, and what is written instead of them.

import { get, itemPath, send } from "./api.js";
import { $, announce, duration, h, notice, percent, plural } from "./dom.js";
import { STATES, shortName } from "./list.js";
import { Strip } from "./strip.js";
import { DOUBTFUL, UNSURE, grade, placeWords, replaceWord } from "./words.js";

const GRADES = { sure: "", unsure: "less sure", doubtful: "doubtful", changed: "changed" };

export class ItemView {
  /** `saved(id, text)`: a correction; `go(step)`: another item; `open(id)`: a certain one; `undone(item)`: a correction was taken back. */
  constructor(handlers) {
    this.handlers = handlers;
    this.item = null;
    this.strip = new Strip({ choose: (n) => this.#choose(n), played: (n) => this.#played(n) });
    const clicks = { save: () => this.save(), edit: () => this.toggleText(), undo: () => this.undo(), again: () => this.#again(),
      previous: () => handlers.go(-1), next: () => handlers.go(1), back: () => handlers.open(null) };
    for (const [id, does] of Object.entries(clicks)) $(`#${id}`).addEventListener("click", does);
    this.box = $("#words");
    this.area = $("#area");
    this.box.addEventListener("keydown", (event) => this.#key(event));
    this.box.addEventListener("focusin", (event) => this.#focused(event));
    this.box.addEventListener("click", (event) => this.#clicked(event));
    this.box.addEventListener("dblclick", (event) => { if (this.#number(event.target) >= 0) this.#type(this.#number(event.target)); });
    this.area.addEventListener("input", () => { this.#fit(); this.#tell(); });
    this.area.addEventListener("keydown", (event) => this.#areaKey(event));
    $("#choices").addEventListener("keydown", (event) => this.#choiceKey(event));
    $("#choices").addEventListener("focusout", (event) => { if (!$("#choices").contains(event.relatedTarget)) $("#choices").hidden = true; });
  }

  /** Show an item; `waiting`: its correction that was not sent yet. */
  async open(id, { waiting, focus = false } = {}) {
    this.strip.stop();
    this.asked = id;
    let item;
    try {
      do {
        this.outdated = false;
        item = await get(itemPath(id));
      } while (this.outdated && this.asked === id);
    } catch (error) {
      if (this.asked === id) notice(error.message, { bad: true });
      return false;
    }
    if (this.asked !== id) return false; // another one was asked for meanwhile
    this.item = item;
    this.page = item.kind === "page";
    this.draft = waiting ?? item.text;
    this.kept = this.draft;
    this.steps = [];
    this.text = false;
    this.quiet = false;
    const joined = item.words.map((word) => word.text).join(" "), split = (item.text.match(/\S+/g) || []).join(" ");
    this.read = joined === split || !item.words.length ? item.words : placeWords(item.text, item.words, this.#end());
    if (item.state === "corrected" || item.state === "learnt") {
      this.read = this.read.map((word) => (word.confidence === null ? { ...word, changed: true } : word));
    }
    $("#welcome").hidden = true;
    $("#card").hidden = false;
    this.#describe();
    this.words = this.page ? [] : placeWords(this.draft, this.read, this.#end());
    this.strip.show(item, this.words);
    this.#show();
    if (focus) this.focus();
    announce(`${item.name}, ${STATES[item.state][1]}`);
    return true;
  }

  /** An item has changed: what is on its way is asked for once more. */
  note(id) { this.outdated ||= id === this.asked; }

  close() {
    this.strip.stop();
    this.item = this.asked = null;
    $("#card").hidden = true;
    $("#welcome").hidden = false;
  }

  /** Whether an item is shown, and no other was asked for since. */
  shows(id) { return Boolean(this.item) && this.item.id === id && this.asked === id; }

  /** Whether something was written that is not saved. */
  get changed() { return Boolean(this.item) && (this.text ? this.area.value : this.draft) !== this.kept; }

  /** Put the focus on the first word that is doubtful, without playing it. */
  focus() {
    if (this.page) return $("#lines button")?.focus();
    if (this.text || !this.words.length) return this.area.focus();
    const doubtful = this.words.findIndex((word) => grade(word) === "doubtful" || grade(word) === "unsure");
    this.#focusWord(Math.max(0, doubtful), true);
  }

  #end() { return this.item.kind === "audio" ? this.item.seconds || 0 : this.item.width || this.strip.picture?.naturalWidth || this.item.words.at(-1)?.end || 0; }

  #describe() {
    const { item } = this, parts = [], [sign, label] = STATES[item.state];
    $("#name").textContent = item.page ? shortName({ ...item, group: null }) : item.name;
    const crumb = [];
    if (item.page) crumb.push(h("a", { href: `#${encodeURIComponent(item.page)}`, text: "The whole page" }));
    if (item.group) crumb.push(h("span", { text: item.group }));
    $("#crumb").replaceChildren(...crumb);
    parts.push(h("span", { class: `chip ${item.state}`, text: `${sign} ${label}` }));
    if (item.confidence !== null) {
      const level = item.confidence < DOUBTFUL ? "doubtful" : item.confidence < UNSURE ? "unsure" : "sure";
      parts.push(h("span", { class: `chip ${level}`, title: "Mean confidence of the words as they were read", text: `${percent(item.confidence)} sure` }));
    }
    if (item.seconds) parts.push(h("span", { class: "fact", text: duration(item.seconds) }));
    if (item.model) parts.push(h("span", { class: "fact", text: item.model }));
    $("#facts").replaceChildren(...parts);
    const trouble = $("#trouble");
    trouble.hidden = !item.error;
    trouble.textContent = item.error || "";
  }

  /** Draw the text, as words or as a whole. */
  #show() {
    const { item } = this, empty = !this.page && !this.words.length;
    const whole = !this.page && (this.text || empty);
    $("#choices").hidden = true;
    this.box.hidden = this.page || whole;
    $("#editor").hidden = !whole;
    $("#lines").hidden = !this.page;
    for (const id of ["save", "edit", "undo", "legend"]) $(`#${id}`).hidden = this.page;
    $("#edit").hidden ||= empty;
    $("#edit").setAttribute("aria-pressed", String(this.text));
    $("#edit").textContent = this.text ? "Show words" : "Edit as text";
    this.area.placeholder = item.state === "new" ? "Waits to be read; you can write already." : "What is said or written here";
    if (this.page) this.#showLines();
    else if (whole) {
      this.area.value = this.draft;
      this.#fit();
    } else this.box.replaceChildren(...this.words.flatMap((word, number) => [this.#word(word, number), " "]));
    this.#showOthers();
    this.#tell();
  }

  #word(word, number) {
    const level = grade(word), sure = word.confidence === null || word.confidence === undefined ? "" : percent(word.confidence);
    const about = [word.text, sure, GRADES[level], word.alternatives?.length ? plural(word.alternatives.length, "alternative") : ""];
    const title = [sure && `${sure} sure`, word.alternatives?.length && "arrow down: alternatives"].filter(Boolean).join(" · ");
    return h("span", { class: `word ${level}${word.alternatives?.length ? " more" : ""}`, role: "button", tabindex: "0", "data-n": number,
      "aria-label": about.filter(Boolean).join(", "), title: title || null, text: word.text });
  }

  #showLines() {
    $("#lines").replaceChildren(...this.item.lines.map((line, number) => {
      const [sign, label] = STATES[line.state], sure = line.confidence;
      const button = h("button", { type: "button", onclick: () => this.handlers.open(line.id, true), onfocus: () => this.strip.mark(number),
        onmouseenter: () => this.strip.mark(number) },
      h("i", { class: `sign ${line.state}`, "aria-hidden": "true", text: sign }), h("span", { class: "hidden", text: `${label}: ` }),
      h("span", { class: "snippet", dir: "auto", text: line.error || line.text || "(nothing)" }),
      sure === null || line.state !== "read" ? null : h("span", { class: `measure ${grade(line)}`, text: percent(sure) }));
      return h("li", {}, button);
    }));
  }

  #showOthers() {
    const texts = this.page ? [] : [...(this.item.earlier || []), ...(this.item.alternatives || [])];
    if (!this.page && this.item.text !== this.item.read) texts.push(this.item.read);
    const unique = [...new Set(texts)].filter((text) => text !== this.draft);
    $("#others").hidden = !unique.length;
    $("#others summary").textContent = `${plural(unique.length, "other reading")}`;
    $("#others ol").replaceChildren(...unique.map((text) => h("li", {},
      h("button", { type: "button", dir: "auto", text: text || "(nothing)", onclick: () => this.#change(text) }))));
  }

  #tell() {
    if (!this.item) return;
    $("#undo").disabled = !this.steps.length && !this.changed && !this.item.can_undo;
    $("#card").classList.toggle("changed", this.changed);
  }

  /** Another text; the one before can be had back with undo. */
  #change(text, focus = null) {
    if (text === this.draft) return this.#redraw(focus);
    this.steps.push(this.draft);
    this.draft = text;
    this.#redraw(focus);
  }

  #redraw(focus) {
    this.words = placeWords(this.draft, this.read, this.#end());
    this.strip.setWords(this.words);
    this.#show();
    if (focus !== null) this.#focusWord(Math.min(focus, this.words.length - 1), true);
  }

  #number(element) { return Number(element.closest?.("[data-n]")?.dataset.n ?? -1); }

  #focusWord(number, quiet = false) {
    const element = this.box.querySelector(`[data-n="${number}"]`);
    if (!element) return void this.area.focus();
    this.quiet = quiet;
    element.focus();
    this.quiet = false;
  }

  #focused(event) {
    const number = this.#number(event.target);
    if (number < 0 || event.target.tagName === "INPUT") return;
    this.strip.mark(number);
    this.focusedAt = performance.now();
    if (!this.quiet) this.#playWord(number);
  }

  #clicked(event) {
    const number = this.#number(event.target);
    if (number >= 0 && event.target.tagName !== "INPUT" && performance.now() - this.focusedAt > 400) this.#playWord(number);
  }

  #playWord(number) {
    const word = this.words[number];
    if (word) this.strip.play(word.start, Math.max(word.end, word.start + 0.06));
  }

  #choose(number) {
    if (this.page) return this.handlers.open(this.item.lines[number].id, true);
    if (this.text) { this.strip.mark(number); this.#playWord(number); } else this.#focusWord(number);
  }

  #played(number) {
    this.box.querySelector(".playing")?.classList.remove("playing");
    this.box.querySelector(`[data-n="${number}"]`)?.classList.add("playing");
  }

  #key(event) {
    const number = this.#number(event.target);
    if (number < 0 || event.target.tagName === "INPUT" || event.isComposing) return;
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    const does = {
      Enter: () => this.save(), " ": () => this.#playWord(number), ArrowDown: () => this.#offer(number),
      ArrowRight: () => this.#focusWord(number + 1 < this.words.length ? number + 1 : number),
      ArrowLeft: () => this.#focusWord(Math.max(0, number - 1)),
      Home: () => this.#focusWord(0), End: () => this.#focusWord(this.words.length - 1),
      Delete: () => this.#change(replaceWord(this.draft, number, ""), number), Backspace: () => this.#change(replaceWord(this.draft, number, ""), number - 1 < 0 ? 0 : number - 1),
    }[event.key];
    if (does && plain) does();
    else if (plain && event.key.length === 1 && !"?/".includes(event.key)) this.#type(number, event.key);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Replace a word by what is typed. */
  #type(number, begun = null) {
    const old = this.words[number].text, element = this.box.querySelector(`[data-n="${number}"]`);
    const input = h("input", { class: "word", "data-n": number, "aria-label": `Instead of ${old}`, value: begun ?? old, autocomplete: "off", dir: "auto", spellcheck: "true" });
    const fit = () => { input.style.width = `${Math.max(3, input.value.length + 2)}ch`; };
    let over = false;
    const finish = (keep, focus = null) => {
      if (over) return;
      over = true;
      this.#change(keep ? replaceWord(this.draft, number, input.value.trim()) : this.draft, focus);
    };
    input.addEventListener("input", fit);
    input.addEventListener("blur", () => finish(true));
    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      const count = input.value.trim().split(/\s+/).filter(Boolean).length;
      if (event.key === "Enter") { finish(true); this.save(); }
      else if (event.key === "Escape") finish(false, number);
      else if (event.key === "Tab") {
        const next = event.shiftKey ? number - 1 : number + count;
        finish(true);
        const within = next >= 0 && next < this.words.length;
        this.#focusWord(Math.min(Math.max(next, 0), this.words.length - 1), !within);
      } else return void event.stopPropagation();
      event.preventDefault();
      event.stopPropagation();
    });
    element.replaceWith(input);
    fit();
    input.focus();
    if (begun === null) input.select();
  }

  /** Show what else a word may be. */
  #offer(number) {
    const word = this.words[number], box = $("#choices");
    if (!word.alternatives?.length) return announce("No alternatives for this word.");
    box.replaceChildren(...word.alternatives.map((text, each) => h("div", {
      role: "option", tabindex: "-1", dir: "auto", "aria-selected": String(each === 0), text: text || "(nothing)", onclick: () => this.#take(number, text) })));
    const place = this.box.querySelector(`[data-n="${number}"]`).getBoundingClientRect();
    box.hidden = false;
    box.dataset.word = number;
    box.style.left = `${Math.max(8, Math.min(place.left + scrollX, document.documentElement.clientWidth - box.offsetWidth - 8))}px`;
    box.style.top = `${place.bottom + scrollY + 4}px`;
    box.firstElementChild.focus();
  }

  #take(number, text) {
    $("#choices").hidden = true;
    this.#change(replaceWord(this.draft, number, text), number);
  }

  #choiceKey(event) {
    const options = [...$("#choices").children], at = options.indexOf(document.activeElement), number = Number($("#choices").dataset.word);
    const move = (to) => {
      options.forEach((option, each) => option.setAttribute("aria-selected", String(each === to)));
      options[to].focus();
    };
    const back = () => { $("#choices").hidden = true; this.#focusWord(number, true); };
    const does = { ArrowDown: () => move(Math.min(at + 1, options.length - 1)), ArrowUp: () => (at > 0 ? move(at - 1) : back()), Escape: back, Tab: back,
      Enter: () => options[at].click(), " ": () => options[at].click() }[event.key];
    if (!does) return;
    does();
    event.preventDefault();
    event.stopPropagation();
  }

  /** Between words and the whole text. */
  toggleText() {
    if (!this.item || this.page) return;
    if (this.text || !this.words.length) {
      this.text = false;
      this.#change(this.area.value, 0);
    } else {
      this.text = true;
      this.#show();
      this.area.focus();
    }
  }

  #areaKey(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) this.save();
    else if (event.key === "Escape" && this.text) this.toggleText();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #fit() {
    this.area.style.height = "auto";
    this.area.style.height = `${Math.max(72, this.area.scrollHeight + 2)}px`;
  }

  /** Save the text as it stands, right as it was read or not, and go on. */
  save() {
    if (!this.item || this.page) return;
    if (!$("#editor").hidden) this.draft = this.area.value;
    this.kept = this.draft;
    this.handlers.saved(this.item.id, this.draft);
  }

  /** Take back the last change; with none, the last correction of this item. */
  async undo() {
    if (!this.item || this.page) return;
    if (this.changed && !$("#editor").hidden && this.area.value !== this.draft) {
      this.area.value = this.draft;
      this.#tell();
    } else if (this.steps.length) {
      this.draft = this.steps.pop();
      this.#redraw(this.text ? null : 0);
    } else if (this.item.can_undo) await this.handlers.undone(this.item.id);
  }

  async #again() {
    try {
      await send("POST", itemPath(this.item.id, "/read"));
      announce("It is read once more.");
    } catch (error) { notice(error.message, { bad: true }); }
  }
}
