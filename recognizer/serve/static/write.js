// Writing a line with mouse, finger or pen, to a picture that is read like any other.

import { dialog, h, notice } from "./dom.js";
import { stamp } from "./record.js";

const WIDE = 1400, HIGH = 260, INK = 5, MARGIN = 24; // pixels of the picture

/** Write in a dialog; `done(file)` is called with the picture. */
export function write(done) {
  const canvas = h("canvas", { class: "paper", width: WIDE, height: HIGH, role: "img", "aria-label": "Paper; write one line here with mouse, finger or pen" });
  const context = canvas.getContext("2d");
  const strokes = [];
  let stroke = null;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * WIDE / box.width, (event.clientY - box.top) * HIGH / box.height, event.pointerType === "pen" ? 0.5 + event.pressure : 1];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    strokes.push(stroke = [place(event)]);
    draw(context, strokes);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!stroke) return;
    for (const each of event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event]) stroke.push(place(each));
    draw(context, strokes);
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { stroke = null; });
  const again = (change) => () => { change(); draw(context, strokes); };
  const box = dialog("Write a line", h("p", { class: "note", text: "One line, from edge to edge, as large as it fits." }), canvas, h("p", { class: "buttons" },
    h("button", { type: "button", class: "main", text: "Read it", onclick: finish }),
    h("button", { type: "button", text: "Undo stroke", onclick: again(() => strokes.pop()) }),
    h("button", { type: "button", text: "Clear", onclick: again(() => { strokes.length = 0; }) })));
  box.classList.add("wide");
  draw(context, strokes);

  async function finish() {
    const points = strokes.flat();
    if (points.length < 2) return notice("Nothing is written yet.", { bad: true });
    const [xs, ys] = [points.map((point) => point[0]), points.map((point) => point[1])];
    const left = Math.max(0, Math.min(...xs) - MARGIN), top = Math.max(0, Math.min(...ys) - MARGIN);
    const right = Math.min(WIDE, Math.max(...xs) + MARGIN), bottom = Math.min(HIGH, Math.max(...ys) + MARGIN);
    const cut = h("canvas", { width: Math.ceil(right - left), height: Math.ceil(bottom - top) });
    draw(cut.getContext("2d"), strokes, left, top);
    const blob = await new Promise((resolve) => cut.toBlob(resolve, "image/png"));
    box.close();
    done(new File([blob], `drawing ${stamp()}.png`, { type: "image/png" }));
  }
}

/** Dark ink on white paper, whatever the theme: so were the lines that the model learnt from. */
function draw(context, strokes, left = 0, top = 0) {
  context.setTransform(1, 0, 0, 1, -left, -top);
  context.fillStyle = "#fff";
  context.fillRect(0, 0, WIDE, HIGH);
  context.strokeStyle = context.fillStyle = "#1c2430";
  context.lineCap = context.lineJoin = "round";
  for (const points of strokes) {
    for (let n = 0; n < points.length; n++) {
      const [x, y, pressure] = points[n], [fromX, fromY] = points[Math.max(0, n - 1)];
      context.lineWidth = INK * pressure;
      context.beginPath();
      context.moveTo(fromX, fromY);
      context.lineTo(x, y + (n ? 0 : 0.01));
      context.stroke();
    }
  }
}
