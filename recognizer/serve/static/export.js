// Texts as files: of one item, of those that the list shows, or of all.

import { download } from "./api.js";
import { dialog, h, notice, plural } from "./dom.js";

const FORMATS = {
  txt: "Plain text", srt: "Subtitles (SubRip)", vtt: "Subtitles (WebVTT)", textgrid: "Praat TextGrid", ctm: "Words with times (CTM)", tsv: "Table (TSV)",
  json: "JSON with words", jsonl: "JSON, one item a line", alto: "ALTO XML", page: "PAGE XML", hocr: "hOCR", pdf: "Searchable PDF",
  manifest: "Training set: corrections and their sources",
};
const FOR = { audio: "recordings", line: "handwriting", strokes: "pen traces" };

/** Ask what is to be exported. `formats`: kind of source by name; `item`: that is open, or null; `query`, `listed`: what the list shows. */
export function exportTexts(formats, item, query, listed) {
  const names = [...Object.keys(FORMATS).filter((name) => name in formats), ...Object.keys(formats).filter((name) => !(name in FORMATS))];
  const format = h("select", { id: "export-format" }, ...names.map((name) => h("option", { value: name, text:
    (FORMATS[name] || name) + (formats[name] ? ` — ${FOR[formats[name]] || formats[name]}` : "") })));
  const choices = [item ? ["item", `This item: ${item.name}`] : null, [...query].length ? ["listed", `What the list shows: ${plural(listed, "item")}`] : null, ["all", "The whole project"]]
    .filter(Boolean);
  const scope = h("fieldset", {}, h("legend", { text: "Of" }), ...choices.map(([value, label], number) => h("label", { class: "choice" },
    h("input", { type: "radio", name: "scope", value, checked: number === 0 }), h("span", { text: label }))));
  const wrong = h("p", { class: "wrong", role: "alert", hidden: true });
  const button = h("button", { type: "submit", class: "main", text: "Save file" });
  const form = h("form", { onsubmit: async (event) => {
    event.preventDefault();
    const asked = new URLSearchParams({ format: format.value }), what = form.elements.scope.value;
    if (what === "item") asked.set("id", item.id);
    if (what === "listed") for (const [name, value] of query) asked.set(name, value);
    button.disabled = true;
    wrong.hidden = true;
    try {
      await download(`/api/export?${asked}`, `export.${format.value}`);
      box.close();
      notice("The file is in the browser's downloads.");
    } catch (error) {
      wrong.textContent = error.message;
      wrong.hidden = false;
    }
    button.disabled = false;
  } }, h("label", {}, "Format", format), scope, wrong, h("p", { class: "buttons" }, button));
  const box = dialog("Export", form);
}
