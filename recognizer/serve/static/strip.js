// The source of an item: the outline of a recording or the picture of a line, with words over it, and the spikes of the network below.
// Places in a pen trace are points in the order of writing, which its picture does not show: there are no words over it.

import { get, itemPath } from "./api.js";
import { $, clock, color, h, notice } from "./dom.js";
import { grade } from "./words.js";

const LABELS = 28, WAVE = 112, SPIKES = 96; // heights in pixels
const LEAST_PER_SECOND = 150; // pixels of a recording, before it is zoomed
const PEAKS_A_SECOND = 100, MOST_PEAKS = 20_000;

export class Strip {
  /** `choose(n)`: a word over the source was clicked; `played(n)`: a word is being played (-1: none). */
  constructor({ choose, played }) {
    this.choose = choose;
    this.played = played;
    this.root = $("#strip");
    this.audio = new Audio();
    this.audio.preload = "auto";
    this.words = [];
    this.withSpikes = false;
    this.audio.addEventListener("play", () => { this.#button(true); this.#tick(); });
    for (const name of ["pause", "ended"]) this.audio.addEventListener(name, () => { this.#button(false); this.#cursor(); this.played(this.playing = -1); });
    this.root.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => { if (this.item) this.#layout(); }).observe(this.root);
    document.addEventListener("theme", () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    $("#play").addEventListener("click", () => this.toggle());
    $("#speed").addEventListener("change", () => { this.audio.playbackRate = Number($("#speed").value); });
    $("#wider").addEventListener("click", () => this.zoom(1.5));
    $("#narrower").addEventListener("click", () => this.zoom(1 / 1.5));
    $("#spikes").addEventListener("click", () => this.toggleSpikes());
  }

  /** Show the source of an item. */
  show(item, words) {
    this.stop();
    this.item = item;
    this.words = item.kind === "strokes" ? [] : words;
    this.chosen = -1;
    this.factor = 1;
    this.peaks = this.spikes = this.picture = null;
    this.length = item.kind === "audio" ? item.seconds || 0.1 : item.width || 1;
    this.root.replaceChildren();
    this.root.className = item.kind;
    this.root.scrollLeft = 0;
    const audio = item.kind === "audio";
    for (const name of ["#play", "#speed-label", "#clock"]) $(name).hidden = !audio;
    $("#spikes").hidden = item.kind === "page" || item.state === "new" || Boolean(item.error);
    if (item.kind === "page") return this.#page(item);
    this.#build(item, audio);
    if (this.withSpikes) this.#loadSpikes();
  }

  #build(item, audio) {
    this.wave = h("canvas", { class: "wave", role: "img", "aria-label": audio ? "Outline of the recording" : "" });
    this.marks = h("div", { class: "marks", "aria-hidden": "true" });
    this.line = h("div", { class: "cursor", hidden: true });
    this.below = h("canvas", { class: "spikes", hidden: true, role: "img", "aria-label": "Probabilities of the network over the source" });
    this.inner = h("div", { class: "inner" }, this.marks, this.line);
    if (audio) {
      this.inner.append(this.wave);
      this.inner.addEventListener("click", (event) => this.#seek(event));
      this.audio.src = itemPath(item.id, "/media");
      this.audio.playbackRate = this.audio.defaultPlaybackRate = Number($("#speed").value);
      this.#clock(0);
      const count = Math.min(MOST_PEAKS, Math.max(200, Math.ceil(this.length * PEAKS_A_SECOND)));
      get(itemPath(item.id, `/peaks?n=${count}`)).then((found) => {
        if (this.item !== item) return;
        this.peaks = found.peaks;
        this.length = found.seconds || this.length;
        this.#layout();
      }).catch((error) => this.#fail(item, error));
    } else {
      this.audio.removeAttribute("src");
      this.picture = h("img", { alt: `Picture of ${item.name}`, draggable: "false" });
      this.picture.addEventListener("load", () => { this.length = this.picture.naturalWidth; this.#layout(); });
      this.picture.addEventListener("error", () => this.#fail(item, new Error("The picture cannot be shown.")));
      this.picture.src = itemPath(item.id, "/media");
      this.inner.append(this.picture);
    }
    this.inner.append(this.below);
    this.root.append(this.inner);
    this.#layout();
  }

  #fail(item, error) {
    if (this.item === item) this.root.replaceChildren(h("p", { class: "note", text: error.message }));
  }

  /** A page with the outlines of its lines. */
  #page(item) {
    const space = "http://www.w3.org/2000/svg", drawing = document.createElementNS(space, "svg");
    drawing.setAttribute("aria-hidden", "true");
    drawing.setAttribute("viewBox", `0 0 ${item.width || 1} ${item.height || 1}`);
    this.shapes = (item.lines || []).map((line, number) => {
      const shape = document.createElementNS(space, "polygon");
      shape.setAttribute("points", line.outline.map((point) => point.join(",")).join(" "));
      shape.setAttribute("class", `${line.state} ${grade(line)}`);
      shape.addEventListener("click", () => this.choose(number));
      drawing.append(shape);
      return shape;
    });
    this.picture = h("img", { alt: `Picture of ${item.name}`, src: itemPath(item.id, "/media") });
    this.inner = h("div", { class: "inner sheet" }, this.picture, drawing);
    this.root.append(this.inner);
    this.inner.style.width = "100%";
  }

  setWords(words) {
    if (this.item.kind !== "strokes") this.words = words;
    this.draw();
  }

  /** Mark a word, and bring it into view. */
  mark(number) {
    this.chosen = number;
    const word = this.words[number];
    if (this.shapes && this.item.kind === "page") {
      this.shapes.forEach((shape, each) => shape.classList.toggle("chosen", each === number));
    } else if (word && this.scale) {
      const left = word.start * this.scale, right = word.end * this.scale, { scrollLeft, clientWidth } = this.root;
      if (left < scrollLeft || right > scrollLeft + clientWidth) this.root.scrollLeft = Math.max(0, (left + right - clientWidth) / 2);
      this.draw();
    }
  }

  zoom(by) {
    if (!this.item) return;
    this.factor = Math.min(16, Math.max(0.25, this.factor * by));
    if (this.item.kind === "page") this.inner.style.width = `${100 * Math.max(1, this.factor)}%`;
    else this.#layout();
  }

  #layout() {
    if (!this.inner || this.item.kind === "page" || !this.root.contains(this.inner)) return;
    const room = this.root.clientWidth;
    let height = WAVE;
    if (this.picture) {
      const [wide, high] = [this.picture.naturalWidth || this.length, this.picture.naturalHeight || 1];
      this.scale = Math.max(Math.min(room / wide, 2.5, 200 / high), 56 / high) * this.factor;
      height = high * this.scale;
      this.picture.style.width = `${wide * this.scale}px`;
      this.picture.style.height = `${height}px`;
    } else {
      this.scale = Math.max(room / this.length, LEAST_PER_SECOND) * this.factor;
    }
    this.height = height;
    this.inner.style.width = `${Math.max(1, this.length * this.scale)}px`;
    this.inner.style.height = `${LABELS + height + (this.withSpikes ? SPIKES : 0)}px`;
    this.below.hidden = !this.withSpikes;
    this.draw();
  }

  /** Draw what is in view. */
  draw() {
    if (!this.item || this.item.kind === "page" || !this.inner || !this.root.contains(this.inner)) return;
    const from = this.root.scrollLeft, room = this.root.clientWidth;
    if (!this.picture) this.#drawWave(from, Math.min(room, this.length * this.scale));
    if (this.withSpikes) this.#drawSpikes(from, Math.min(room, this.length * this.scale));
    const shown = [];
    this.words.forEach((word, number) => {
      const left = word.start * this.scale, width = Math.max(2, (word.end - word.start) * this.scale);
      if (left + width < from - 50 || left > from + room + 50) return;
      const mark = h("div", { class: `mark ${grade(word)}${number === this.chosen ? " chosen" : ""}${number === this.playing ? " playing" : ""}` },
        h("span", { dir: "auto", text: word.text }));
      mark.style.left = `${left}px`;
      mark.style.width = `${width}px`;
      mark.style.height = `${LABELS + this.height}px`;
      mark.addEventListener("click", (event) => { event.stopPropagation(); this.choose(number); });
      shown.push(mark);
    });
    this.marks.replaceChildren(...shown);
  }

  #canvas(canvas, width, height) {
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(width * ratio));
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    return context;
  }

  #drawWave(from, width) {
    const context = this.#canvas(this.wave, width, WAVE), middle = WAVE / 2;
    context.fillStyle = color("rule");
    context.fillRect(0, middle, width, 1);
    if (!this.peaks) return;
    context.fillStyle = color("wave");
    const count = this.peaks.length, loudest = this.peaks.reduce((most, [low, high]) => Math.max(most, high, -low), 12);
    const step = 3;
    for (let x = 0; x < width; x += step) {
      const first = Math.floor((from + x) / this.scale / this.length * count);
      const last = Math.max(first + 1, Math.ceil((from + x + step) / this.scale / this.length * count));
      let low = 0, high = 0;
      for (let n = first; n < last && n < count; n++) {
        low = Math.min(low, this.peaks[n][0]);
        high = Math.max(high, this.peaks[n][1]);
      }
      const up = Math.max(1, high / loudest * (middle - 6)), down = Math.max(1, -low / loudest * (middle - 6));
      context.beginPath();
      context.roundRect(x, middle - up, 2, up + down, 1);
      context.fill();
    }
  }

  #drawSpikes(from, width) {
    const context = this.#canvas(this.below, width, SPIKES), base = SPIKES - 8, tall = SPIKES - 32;
    context.strokeStyle = color("rule");
    context.strokeRect(0, base + 0.5, width, 0);
    if (!this.spikes) return;
    const { step, offset, spikes, blank } = this.spikes;
    const scale = this.item.kind === "strokes" ? this.length * this.scale / (this.item.width || 1) : this.scale; // all points, along all of the picture
    const at = (frame) => (offset + (frame + 0.5) * step) * scale - from;
    context.strokeStyle = color("edge");
    context.globalAlpha = 0.45;
    context.beginPath();
    blank.forEach((probability, frame) => {
      const x = at(frame);
      if (x > -50 && x < width + 50) context.lineTo(x, base - probability * tall);
    });
    context.stroke();
    context.globalAlpha = 1;
    context.textAlign = "center";
    context.font = "13px system-ui, sans-serif";
    for (const [frame, symbol, probability] of spikes) {
      const x = at(frame);
      if (x < -20 || x > width + 20) continue;
      context.fillStyle = color("accent");
      context.fillRect(x - 1, base - probability * tall, 2, probability * tall);
      context.fillStyle = color("text");
      if (probability >= 0.3) context.fillText(symbol === " " ? "␣" : symbol, x, base - probability * tall - 6);
    }
  }

  toggleSpikes() {
    if ($("#spikes").hidden) return;
    this.withSpikes = !this.withSpikes;
    $("#spikes").setAttribute("aria-pressed", String(this.withSpikes));
    this.#layout();
    if (this.withSpikes && !this.spikes) this.#loadSpikes();
  }

  async #loadSpikes() {
    const item = this.item;
    if ($("#spikes").hidden) return;
    try {
      const found = await get(itemPath(item.id, "/spikes"));
      if (this.item === item) this.spikes = found;
      this.draw();
    } catch (error) {
      if (this.item === item) notice(error.message, { bad: true });
    }
  }

  #seek(event) {
    this.end = null;
    this.audio.currentTime = (event.clientX - this.inner.getBoundingClientRect().left) / this.scale;
    this.#cursor();
  }

  /** Play a stretch, or from where it stands to the end. */
  play(start = null, end = null) {
    if (this.item?.kind !== "audio") return;
    this.end = end;
    if (start !== null) this.audio.currentTime = start;
    else if (this.audio.ended || this.audio.currentTime >= this.length - 0.05) this.audio.currentTime = 0;
    this.audio.play().catch((error) => {
      if (error.name !== "AbortError") notice(error.name === "NotAllowedError" ? "The browser plays sound after a click on the page."
        : "The browser cannot play this recording.", { bad: true });
    });
  }

  toggle() {
    if (this.item?.kind !== "audio") return;
    if (this.audio.paused) this.play();
    else this.audio.pause();
  }

  stop() {
    this.audio.pause();
    this.end = null;
  }

  #tick() {
    if (this.audio.paused) return;
    if (this.end !== null && this.audio.currentTime >= this.end) this.audio.pause();
    this.#cursor();
    const time = this.audio.currentTime, playing = this.words.findIndex((word) => word.start <= time && time < word.end);
    if (playing !== this.playing) this.played(this.playing = playing);
    requestAnimationFrame(() => this.#tick());
  }

  #cursor() {
    if (!this.line || this.picture) return;
    const x = this.audio.currentTime * this.scale, { scrollLeft, clientWidth } = this.root;
    this.line.hidden = false;
    this.line.style.left = `${x}px`;
    if (!this.audio.paused && this.end === null && (x < scrollLeft || x > scrollLeft + clientWidth - 20)) this.root.scrollLeft = Math.max(0, x - 60);
    this.#clock(this.audio.currentTime);
  }

  #clock(time) { $("#clock").textContent = `${clock(time)} / ${clock(this.length)}`; }

  #button(playing) {
    $("#play use").setAttribute("href", playing ? "#i-pause" : "#i-play");
    $("#play").setAttribute("aria-label", playing ? "Pause" : "Play");
  }
}
