// The page: a line is written or chosen, and its text shown.

import { Recognizer, readPicture } from "./recognizer.js";

const $ = (id) => document.getElementById(id), paper = $("paper");
const context = paper.getContext("2d", { willReadFrequently: true });
const INK = 5; // width of the pen, pixels
const strokes = [];
let stroke = null;

// the paper

function draw() {
  context.fillStyle = "#fff"; // dark ink on white paper: so were the lines that the model learnt from
  context.fillRect(0, 0, paper.width, paper.height);
  context.strokeStyle = "#1c2430";
  context.lineCap = context.lineJoin = "round";
  for (const points of strokes) {
    points.forEach(([x, y, pressure], n) => {
      const [fromX, fromY] = points[Math.max(0, n - 1)];
      context.lineWidth = INK * pressure;
      context.beginPath();
      context.moveTo(fromX, fromY);
      context.lineTo(x, y + (n ? 0 : 0.01)); // a dot has a length too
      context.stroke();
    });
  }
}

function pointOf(event) {
  const box = paper.getBoundingClientRect(), pressure = event.pointerType === "pen" ? 0.5 + event.pressure : 1;
  return [(event.clientX - box.left) * paper.width / box.width, (event.clientY - box.top) * paper.height / box.height, pressure];
}

paper.addEventListener("pointerdown", (event) => {
  if (event.button || stroke) return; // a second finger does not write
  event.preventDefault();
  paper.setPointerCapture(event.pointerId);
  stroke = { id: event.pointerId, points: [pointOf(event)] };
  strokes.push(stroke.points);
  draw();
});
paper.addEventListener("pointermove", (event) => {
  if (stroke?.id !== event.pointerId) return;
  const between = event.getCoalescedEvents?.() ?? [];
  stroke.points.push(...(between.length ? between : [event]).map(pointOf));
  draw();
});
for (const name of ["pointerup", "pointercancel"]) {
  paper.addEventListener(name, (event) => { if (stroke?.id === event.pointerId) stroke = null; });
}
$("undo").addEventListener("click", () => { strokes.pop(); draw(); });
$("clear").addEventListener("click", () => { strokes.length = 0; draw(); });
draw();

// model and text

let model = null, waiting = 0, last = Promise.resolve();

/** Do one thing after another, and show what went wrong. */
function inTurn(work) {
  $("result").setAttribute("aria-busy", ++waiting > 0);
  last = last.then(async () => {
    show("", "Working…");
    await new Promise((resolve) => setTimeout(resolve)); // so that it is seen: the rest keeps the page busy
    try {
      await work();
    } catch (error) {
      show("", error.message, true);
    }
    $("result").setAttribute("aria-busy", --waiting > 0);
  });
}

function show(text, note, bad = false) {
  $("text").textContent = text;
  $("note").textContent = note;
  $("note").className = bad ? "bad" : "";
}

async function open(bytes, name) {
  const opened = await Recognizer.open(bytes, name);
  await model?.close();
  model = opened;
  show("", `${name} is ready.`);
}

async function openDefault() {
  const answer = await fetch(new URL("model.onnx", import.meta.url)).catch(() => null);
  if (!answer?.ok) throw new Error("There is no model.onnx beside this page: choose a file, or write it with `recognizer export`, see README.md");
  await open(new Uint8Array(await answer.arrayBuffer()), "model.onnx");
}

async function read(picture) {
  if (!model) await openDefault();
  const { text, preparation, network } = await model.transcribe(picture);
  show(text, `${text ? "" : "Nothing is written there. "}${Math.round(preparation + network)} ms, of which preparation ${Math.round(preparation)} ms`);
}

$("read").addEventListener("click", () => {
  $("shown").hidden = true;
  inTurn(() => read(context.getImageData(0, 0, paper.width, paper.height)));
});
$("picture").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  target.value = ""; // so that the same file can be chosen again
  if (!file) return;
  URL.revokeObjectURL($("shown").src);
  $("shown").src = URL.createObjectURL(file);
  $("shown").hidden = false;
  inTurn(async () => {
    try {
      await read(await readPicture(file));
    } catch (error) {
      throw new Error(error.message.startsWith(file.name) ? error.message : `${file.name}: ${error.message}`);
    }
  });
});
$("model").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  if (file) inTurn(async () => open(new Uint8Array(await file.arrayBuffer()), file.name));
});
inTurn(openDefault);
