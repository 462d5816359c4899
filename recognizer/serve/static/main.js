// The page: brings its parts together, and follows the news of the service.

import { follow, get, itemPath, send } from "./api.js";
import { $, announce, notice, plural } from "./dom.js";
import { exportTexts } from "./export.js";
import { ItemView } from "./item.js";
import { listen, showKeys } from "./keys.js";
import { List } from "./list.js";
import { Outbox } from "./outbox.js";
import { record } from "./record.js";
import { Teach } from "./teach.js";
import { Uploads } from "./upload.js";
import { write } from "./write.js";

let project = { counts: {}, models: {}, formats: {}, limits: { bytes: Infinity }, name: "", waiting: 0 };
let gone = false;
let wanted = null; // the id of something that was just recorded or written: it is opened
let news = {}; // counts and lesson that came while the answer about the project was on its way
const saves = []; // ids, the last one at the end

const list = new List((id, focus) => open(id, focus));
const view = new ItemView({ saved, undone, go: (step) => go(step, false), open: (id, focus) => open(id, focus) });
const teach = new Teach({ counts: () => project.counts, models: () => project.models });
const uploads = new Uploads(() => project.limits.bytes, (items) => {
  list.load();
  if (wanted || (items.length === 1 && !view.item)) open(items[0].id, true);
  wanted = null;
});
let outbox = null;

async function refresh() {
  news = {};
  project = await get("/api/project");
  document.title = project.name;
  $("#project").textContent = project.name;
  $("#record").hidden = !project.models.audio;
  $("#write").hidden = !project.models.line;
  outbox ??= new Outbox(project.name, { sent, refused, changed: tellOutbox });
  count(news.counts ?? project);
  teach.update(news.teach ?? project.teach);
}

function count({ waiting, ...counts }) {
  project.counts = counts.counts || counts;
  const { new: fresh = 0, read = 0, corrected = 0, learnt = 0 } = project.counts, all = fresh + read + corrected + learnt;
  const parts = [all ? `${(corrected + learnt).toLocaleString("en")} of ${plural(all, "item")} corrected` : "Nothing here yet"];
  if (waiting || fresh) parts.push(`${(waiting || fresh).toLocaleString("en")} being read`);
  $("#progress").textContent = parts.join(" · ");
  list.count(project.counts);
}

/** Open an item and note it in the address; null: the list. */
function open(id, focus = false) {
  const address = id ? `#${encodeURIComponent(id)}` : "";
  if (location.hash !== address) history.pushState(null, "", address || location.pathname);
  return show(id, focus);
}

async function show(id, focus = false) {
  keepDraft();
  document.body.classList.toggle("showing", Boolean(id));
  list.choose(id);
  if (!id) {
    view.close();
    $("#list").focus({ preventScroll: true });
  } else if (await view.open(id, { waiting: outbox?.text(id), focus })) scrollTo(0, 0);
}

/** What was written and not saved is no loss when another item is opened. */
function keepDraft() {
  if (!view.changed) return;
  const { id, name } = view.item, text = view.text ? $("#area").value : view.draft;
  notice(`${name}: what you wrote was not saved.`, { action: ["Save it", () => { view.kept = text; saved(id, text, false); }], seconds: 15 });
}

function go(step, focus) {
  const id = view.item && list.beside(view.item.id, step);
  if (id) return open(id, focus);
  if (view.item) announce(step > 0 ? "This is the last item." : "This is the first item.");
  return null;
}

async function saved(id, text, further = true) {
  saves.push(id);
  outbox.put(id, text);
  const item = list.get(id);
  if (item) list.update({ ...item, text, state: "corrected" });
  if (!further) return;
  const next = list.beside(id, 1);
  if (next && next !== id) await open(next, true);
  else {
    notice("Saved. This was the last item of the list.");
    if (view.shows(id)) await view.open(id, { waiting: text, focus: true });
  }
}

function sent(item) {
  gone = false;
  list.update(item);
  if (view.shows(item.id) && !view.changed) {
    view.item.can_undo = true;
    view.open(item.id, { focus: $("#card").contains(document.activeElement) });
  }
}

function refused(id, text, error) {
  const name = list.get(id)?.name || id;
  notice(`${name}: the correction was refused: ${error.message}`, { bad: true, lines: [text] });
}

function tellOutbox(waiting, failure) {
  if (failure) gone = failure.status ? failure.message : true;
  tellOffline(waiting);
}

function tellOffline(waiting = outbox?.size || 0) {
  const box = $("#offline");
  box.hidden = !gone;
  if (!gone) return;
  const kept = waiting ? ` ${plural(waiting, "correction")} ${waiting === 1 ? "is" : "are"} kept in this page and sent as soon as it answers.` : " Go on working: corrections are kept in this page.";
  const text = (gone === true ? "The service does not answer." : gone) + kept;
  if (box.textContent !== text) box.textContent = text;
}

/** Take back the last correction of an item. */
async function undone(id) {
  try {
    const before = outbox.take(id) ? await get(itemPath(id)) : await send("DELETE", itemPath(id, "/correction"));
    const place = saves.lastIndexOf(id);
    if (place >= 0) saves.splice(place, 1);
    list.update(before);
    if (view.item?.id === id) view.kept = view.text ? $("#area").value : view.draft;
    await open(id, true);
    announce("The correction was taken back.");
  } catch (error) { notice(error.message, { bad: true }); }
}

function undo() {
  if (view.changed || view.steps?.length) return view.undo();
  if (saves.length) return undone(saves.at(-1));
  return view.item ? view.undo() : null;
}

const take = (file) => { wanted = file.name; uploads.add([{ file, path: file.name }]); };
const actions = {
  add: () => $("#files").click(), folder: () => $("#folder").click(), record: () => !$("#record").hidden && record(take), write: () => !$("#write").hidden && write(take),
  export: () => exportTexts(project.formats, view.item, list.query(), list.total), teach: () => teach.open(), keys: showKeys,
  theme: () => announce(`The page is ${window.switchTheme()}.`), search: () => { open(null); $("#search").select(); }, list: () => open(null),
  next: () => go(1, true), previous: () => go(-1, true), undo, play: () => view.strip.toggle(), spikes: () => view.strip.toggleSpikes(),
  wider: () => view.strip.zoom(1.5), narrower: () => view.strip.zoom(1 / 1.5), text: () => view.toggleText(),
  untouched: (field) => field.id === "area" && !view.changed,
};

for (const id of ["add", "record", "write", "export", "theme", "keys"]) $(`#${id}`).addEventListener("click", actions[id]);
for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", actions[button.dataset.do]);
listen(actions);
addEventListener("popstate", () => show(decodeURIComponent(location.hash.slice(1)) || null));
addEventListener("hashchange", () => { if (decodeURIComponent(location.hash.slice(1)) !== (view.asked || "")) show(decodeURIComponent(location.hash.slice(1)) || null); });
addEventListener("unhandledrejection", (event) => { if (event.reason?.status !== undefined) notice(event.reason.message, { bad: true }); });
addEventListener("beforeunload", (event) => { if (view.changed) event.preventDefault(); });

async function reload() {
  await refresh();
  await list.load();
  list.choose(view.asked ?? null);
  if (view.shows(view.item?.id) && !view.changed) await view.open(view.item.id, { waiting: outbox.text(view.item.id), focus: $("#card").contains(document.activeElement) });
}

follow({
  up: async (again) => {
    gone = false;
    tellOffline();
    await (again ? reload() : null);
    outbox?.flush();
  },
  down: () => { gone = true; tellOffline(); },
  item: (item) => {
    view.note(item.id);
    if (outbox?.text(item.id) === undefined) list.update(item);
    const open = view.item;
    if (view.shows(item.id) && !view.changed && (item.text !== open.text || item.state !== open.state || item.error !== open.error)) {
      view.open(item.id, { waiting: outbox?.text(item.id), focus: $("#card").contains(document.activeElement) });
    }
    if (item.kind === "page") list.load(); // its lines are items now
  },
  counts: (counts) => { news.counts = counts; count(counts); },
  teach: (lesson) => { news.teach = lesson; teach.update(lesson); },
  failure: ({ error }) => notice(error, { bad: true }),
  reload,
});

await refresh();
await list.load();
outbox.flush();
const first = decodeURIComponent(location.hash.slice(1));
if (first) await show(first);
else if (list.items.length && matchMedia("(min-width: 761px)").matches) await show(list.items[0].id);
document.documentElement.dataset.ready = "true";
