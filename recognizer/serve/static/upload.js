// Files and folders that are dropped or chosen, sent with progress; what was refused is told.

import { upload } from "./api.js";
import { $, notice, percent, plural } from "./dom.js";

const FILES = 20, BYTES = 32 << 20; // of one request
const MIB = 1 << 20;

export class Uploads {
  /** `limit()`: bytes that a file may have; `added(items)`: what came in. */
  constructor(limit, added) {
    this.limit = limit;
    this.added = added;
    this.waiting = [];
    for (const id of ["files", "folder"]) {
      const input = $(`#${id}`);
      input.addEventListener("change", () => {
        this.add([...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
        input.value = "";
      });
    }
    let depth = 0;
    const carries = (event) => event.dataTransfer?.types.includes("Files");
    const show = (step) => { depth = step ? depth + step : 0; $("#drop").hidden = depth <= 0; };
    addEventListener("dragenter", (event) => { if (carries(event)) { event.preventDefault(); show(1); } });
    addEventListener("dragover", (event) => { if (carries(event)) event.preventDefault(); });
    addEventListener("dragleave", (event) => { if (carries(event)) show(-1); });
    addEventListener("drop", async (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      show(0);
      this.add(await collect(event.dataTransfer));
    });
  }

  /** Send files: {file, path} each. */
  async add(files) {
    const hidden = files.filter(({ path }) => path.split("/").some((part) => part.startsWith(".")));
    this.waiting.push(...files.filter((file) => !hidden.includes(file)));
    if (hidden.length) notice(`${plural(hidden.length, "hidden file")} left out.`);
    if (this.busy || !this.waiting.length) return;
    this.busy = true;
    const refused = [], added = [];
    let done = 0;
    try {
      while (this.waiting.length) {
        const batch = this.#next(refused);
        if (!batch.length) continue;
        const total = () => done + [...batch, ...this.waiting].reduce((sum, { file }) => sum + file.size, 0);
        const tell = (sent) => this.#progress(batch, Math.min(1, (done + sent) / Math.max(1, total())));
        tell(0);
        const answer = await this.#send(batch, tell);
        done += batch.reduce((sum, { file }) => sum + file.size, 0);
        added.push(...answer.added);
        refused.push(...answer.refused.map((each) => each.error));
        if (answer.added.length) this.added(answer.added);
      }
    } catch (error) {
      notice(`${error.message} ${plural(this.waiting.length + this.last, "file")} not sent; add them again.`, { bad: true });
      this.waiting = [];
    }
    this.busy = false;
    $("#uploading").hidden = true;
    if (added.length) notice(`${plural(added.length, "item")} added.`);
    if (refused.length) notice(`${plural(refused.length, "file")} refused:`, { bad: true, lines: refused.slice(0, 20).concat(refused.length > 20 ? [`and ${refused.length - 20} more`] : []) });
    return added;
  }

  #next(refused) {
    const batch = [];
    let bytes = 0;
    while (this.waiting.length && batch.length < FILES && (!batch.length || bytes + this.waiting[0].file.size <= BYTES)) {
      const entry = this.waiting.shift();
      if (entry.file.size > this.limit()) refused.push(`${entry.file.name}: has ${Math.ceil(entry.file.size / MIB)} MiB; ${Math.floor(this.limit() / MIB)} at most`);
      else {
        batch.push(entry);
        bytes += entry.file.size;
      }
    }
    return batch;
  }

  async #send(batch, tell) {
    const form = new FormData();
    for (const { file, path } of batch) {
      form.append("files", file, file.name);
      form.append("paths", path);
    }
    this.last = batch.length;
    try {
      return await upload("/api/items", form, tell);
    } catch (error) {
      if (error.body?.refused) return { added: [], refused: error.body.refused };
      if (error.status === 413 || error.status === 422) return { added: [], refused: batch.map(({ file }) => ({ error: `${file.name}: ${error.message}` })) };
      throw error;
    }
  }

  #progress(batch, share) {
    $("#uploading").hidden = false;
    const more = batch.length + this.waiting.length;
    $("#uploading p").textContent = `Adding ${more === 1 ? batch[0].file.name : plural(more, "file")} · ${percent(share)}`;
    $("#uploading progress").value = share;
  }
}

/** The files that were dropped, those within folders too. */
async function collect(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  const found = [];
  for (const entry of entries) await walk(entry, "", found);
  return found;
}

async function walk(entry, folder, found) {
  const path = folder + entry.name;
  try {
    if (entry.isFile) found.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), path });
    else {
      const reader = entry.createReader();
      for (;;) {
        const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!part.length) break;
        for (const each of part) await walk(each, `${path}/`, found);
      }
    }
  } catch { notice(`${path}: cannot be opened.`, { bad: true }); }
}
