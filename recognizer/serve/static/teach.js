// Teaching: a lesson with its progress, what it brought, and error against corrections.

import { get, send } from "./api.js";
import { $, announce, dialog, duration, h, notice, percent, plural, svg } from "./dom.js";

const KINDS = { audio: "Recordings", line: "Handwriting", strokes: "Pen traces" };
const THINGS = { audio: "recording", line: "line", strokes: "pen trace" };
const WIDE = 560, HIGH = 220, LEFT = 46, BOTTOM = 34, TOP = 14, RIGHT = 12; // of the plot; it is narrower where the page is

export class Teach {
  /** `counts()`: items by state; `models()`: names by kind. */
  constructor({ counts, models }) {
    this.counts = counts;
    this.models = models;
    this.lesson = { state: "idle" };
    $("#teach").addEventListener("click", () => this.open());
  }

  /** Take over how far the lesson is. */
  update(lesson) {
    const before = this.lesson.state;
    this.lesson = lesson;
    const running = lesson.state === "running";
    $("#teach-label").textContent = running ? `Teaching ${percent(lesson.fraction)}` : "Teach";
    $("#teach").style.setProperty("--done", running ? percent(lesson.fraction) : "0%");
    $("#teach").classList.toggle("running", running);
    this.#show();
    if (before !== "running" || running) return;
    if (this.box) announce(summarize(lesson));
    else if (lesson.state === "done") notice(summarize(lesson), { action: ["Details", () => this.open()], seconds: 20 });
    else if (lesson.state === "failed") notice(`Teaching failed: ${lesson.error}`, { bad: true });
    this.#plot();
  }

  open() {
    if (this.box) return;
    this.status = h("div", { class: "lesson" });
    this.figure = h("figure", {});
    this.box = dialog("Teach", this.status, this.figure);
    this.box.classList.add("wide");
    this.box.addEventListener("close", () => { this.box = null; });
    this.shown = null;
    this.#show();
    this.#plot();
  }

  #show() {
    if (!this.box) return;
    const { state, stage, fraction, seconds_left: left } = this.lesson;
    if (state === "running" && this.shown === "running") {
      this.status.querySelector("progress").value = fraction;
      this.status.querySelector(".stage").textContent = describe(stage, fraction, left);
      return;
    }
    this.shown = state;
    this.status.replaceChildren(...(state === "running" ? this.#running() : this.#start()));
  }

  #running() {
    const { items, modality, bundle, stage, fraction, seconds_left: left } = this.lesson;
    return [h("p", { text: `${bundle} learns from ${plural(items, `corrected ${THINGS[modality] || "item"}`)}. You can go on working meanwhile.` }),
      h("progress", { max: 1, value: fraction, "aria-label": "Teaching" }), h("p", { class: "stage note", text: describe(stage, fraction, left) }),
      h("p", { class: "buttons" }, h("button", { type: "button", text: "End now, keep the best so far", onclick: () => this.#ask("DELETE", "/api/teach?keep=true") }),
        h("button", { type: "button", text: "Cancel", onclick: () => this.#ask("DELETE", "/api/teach") }))];
  }

  #start() {
    const { state, error } = this.lesson, parts = [];
    if (state === "done") parts.push(outcome(this.lesson));
    if (state === "failed") parts.push(h("p", { class: "wrong", role: "alert", text: error }));
    if (state === "cancelled") parts.push(h("p", { class: "note", text: "The lesson was cancelled; the model in use is as it was." }));
    const { corrected = 0, learnt = 0 } = this.counts(), kinds = Object.keys(this.models());
    const kind = h("select", {}, h("option", { value: "", text: "what was corrected most" }), ...kinds.map((each) => h("option", { value: each, text: KINDS[each] || each })));
    const minutes = h("input", { type: "number", min: "1", max: "1440", value: "10", required: true });
    const form = h("form", { onsubmit: (event) => {
      event.preventDefault();
      this.#ask("POST", "/api/teach", { minutes: Number(minutes.value), ...(kind.value ? { modality: kind.value } : {}) });
    } },
    h("p", { text: corrected + learnt ? `${plural(corrected, "correction")} ${corrected === 1 ? "is" : "are"} new, ${learnt.toLocaleString("en")} learnt before. `
      + "Some are held back to measure what the lesson brings; a model that did not get better is not used."
      : "Correct some items first: save what is right as well as what you mend. Ten are a beginning." }),
    h("div", { class: "fields" }, kinds.length > 1 ? h("label", {}, "Learn from", kind) : null, h("label", {}, "Minutes at most", minutes),
      h("button", { type: "submit", class: "main", disabled: !(corrected + learnt), text: state === "idle" ? "Start teaching" : "Teach again" })));
    return [...parts, form];
  }

  async #ask(method, path, value) {
    try {
      this.update(await send(method, path, value));
    } catch (error) { notice(error.message, { bad: true }); }
  }

  async #plot() {
    if (!this.box) return;
    try {
      const { corrections, lessons } = await get("/api/history");
      this.figure?.replaceChildren(...(corrections.length ? plot(corrections, lessons, Math.min(WIDE, this.figure.clientWidth || WIDE)) : []));
    } catch (error) { notice(error.message, { bad: true }); }
  }
}

function describe(stage, fraction, left) {
  return [stage, percent(fraction), left === null || left === undefined ? "" : `${duration(left)} left`].filter(Boolean).join(" · ");
}

/** What a lesson brought, in a sentence. */
function summarize({ state, result, error, modality }) {
  if (state === "failed") return `Teaching failed: ${error}`;
  if (state !== "done" || !result) return "Teaching was cancelled.";
  const { before, after, held_back: held, gained } = result;
  return `Before ${percent(before, 1)} → after ${percent(after, 1)} on ${plural(held, THINGS[modality] || "item")} held back. `
    + (gained ? "The new model is in use." : "That is no gain: the model in use stays.");
}

function outcome(lesson) {
  const { before, after, interval, metric, held_back: held, gained, minutes } = lesson.result;
  const kind = metric === "WER" ? "word error rate" : "character error rate";
  const [low, high] = interval || [];
  return h("div", { class: gained ? "outcome gained" : "outcome" },
    h("p", { class: "big" }, h("span", { class: "hidden", text: "before " }), percent(before, 1), h("span", { "aria-hidden": "true", text: " → " }),
      h("span", { class: "hidden", text: " after " }), h("b", { text: percent(after, 1) })),
    h("p", { text: `Before ${percent(before, 1)} → after ${percent(after, 1)} on ${plural(held, THINGS[lesson.modality] || "item")} held back (${kind}).` }),
    h("p", { class: "note", text: [gained ? `${lesson.name} is in use; what nobody corrected is read again.` : "That is no gain: the model in use stays.",
      low === undefined ? "" : `95 % interval of the difference: ${points(low)} to ${points(high)}.`, minutes ? `It took ${duration(60 * minutes)}.` : ""].filter(Boolean).join(" ") }));
}

const points = (share) => `${share > 0 ? "+" : share < 0 ? "−" : ""}${Math.abs(100 * share).toFixed(1)} points`;

/** Character error rate of the last twenty corrections, correction after correction, with the lessons as upright lines. */
function plot(corrections, lessons, wide) {
  const count = corrections.length, most = Math.max(0.05, ...corrections.map((point) => point.rate));
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5].find((each) => most / each <= 4) || Math.ceil(most / 4), top = Math.ceil(most / step) * step;
  const x = (n) => LEFT + (wide - LEFT - RIGHT) * (count > 1 ? (n - 1) / (count - 1) : 0.5), y = (rate) => HIGH - BOTTOM - (HIGH - BOTTOM - TOP) * rate / top;
  const first = corrections[0], last = corrections.at(-1);
  const about = `Character error rate of the last 20 corrections: ${percent(first.rate, 1)} at the first, ${percent(last.rate, 1)} at the last of ${count}.`;
  const drawing = svg("svg", { viewBox: `0 0 ${wide} ${HIGH}`, role: "img", "aria-label": about, class: "plot" });
  for (let rate = 0; rate <= top + 1e-9; rate += step) {
    drawing.append(svg("line", { class: "grid", x1: LEFT, x2: wide - RIGHT, y1: y(rate), y2: y(rate) }),
      svg("text", { x: LEFT - 8, y: y(rate) + 4, "text-anchor": "end", text: percent(rate) }));
  }
  for (const lesson of lessons.filter((each) => each.used)) {
    const n = corrections.filter((point) => point.time <= lesson.time).length;
    if (n < 1) continue;
    const place = x(Math.min(count, n + 0.5));
    drawing.append(svg("line", { class: "lesson", x1: place, x2: place, y1: TOP, y2: HIGH - BOTTOM }, svg("title", { text: `${lesson.name}: ${percent(lesson.before, 1)} → ${percent(lesson.after, 1)}` })));
  }
  const path = corrections.map((point, place) => `${place ? "L" : "M"}${x(point.n).toFixed(1)} ${y(point.rate).toFixed(1)}`).join("");
  drawing.append(svg("path", { class: "curve", d: path }));
  if (count <= 60) drawing.append(...corrections.map((point) => svg("circle", { class: "dot", cx: x(point.n), cy: y(point.rate), r: 3 }, svg("title", { text: `Correction ${point.n}: ${percent(point.rate, 1)}` }))));
  drawing.append(svg("text", { x: LEFT, y: HIGH - 10, text: "1" }), svg("text", { x: wide - RIGHT, y: HIGH - 10, "text-anchor": "end", text: plural(count, "correction") }));
  const lines = lessons.some((each) => each.used) ? " Upright lines: lessons." : "";
  return [h("figcaption", { text: `Error against corrections: character error rate of what was read, over the last 20 corrections.${lines}` }), drawing];
}
