// Corrections on their way to the service. They are kept in the browser until the service says that it has them.

import { itemPath, send } from "./api.js";

const FIRST_WAIT = 1000, LONGEST_WAIT = 15_000; // ms

export class Outbox {
  /** `handlers`: sent(item), refused(id, text, error), changed(number waiting, error). */
  constructor(project, handlers) {
    this.key = `recognizer-outbox-${project}`;
    this.handlers = handlers;
    this.texts = new Map(this.#load());
    this.busy = false;
    this.wait = FIRST_WAIT;
    addEventListener("online", () => this.flush());
  }

  get size() { return this.texts.size; }

  /** The text of an item that waits to be sent; undefined: none. */
  text(id) { return this.texts.get(id); }

  put(id, text) {
    this.texts.delete(id); // so that it goes to the end
    this.texts.set(id, text);
    this.#keep();
    this.flush();
  }

  /** Take a text back that was not sent yet; false if there is none. */
  take(id) {
    const had = this.sending !== id && this.texts.delete(id);
    if (had) this.#keep();
    return had;
  }

  /** Send what waits, one after the other, oldest first. */
  async flush() {
    if (this.busy) return;
    this.busy = true;
    clearTimeout(this.timer);
    let failure = null;
    while (this.size && !failure) {
      const [id, text] = this.texts.entries().next().value;
      this.sending = id;
      try {
        const item = await send("PUT", itemPath(id, "/correction"), { text });
        if (this.texts.get(id) === text) this.texts.delete(id); // else it was changed meanwhile, and is sent once more
        this.wait = FIRST_WAIT;
        this.handlers.sent(item);
      } catch (error) {
        if (error.status >= 400 && error.status < 500 && ![401, 408, 429].includes(error.status)) {
          this.texts.delete(id);
          this.handlers.refused(id, text, error);
        } else failure = error;
      }
      this.sending = null;
      this.#keep();
    }
    this.busy = false;
    this.handlers.changed(this.size, failure);
    if (!failure) return;
    this.timer = setTimeout(() => this.flush(), this.wait);
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
  }

  #load() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.key) || "[]");
      return kept.filter((pair) => Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === "string"));
    } catch { return []; }
  }

  #keep() {
    try {
      if (this.size) localStorage.setItem(this.key, JSON.stringify([...this.texts]));
      else localStorage.removeItem(this.key);
    } catch { /* storage is full or switched off: they are kept as long as the page is open */ }
  }
}
