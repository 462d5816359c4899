// Recording from the microphone, to a WAV file that every recognizer reads.

import { clock, dialog, h, notice } from "./dom.js";

const REASONS = { NotAllowedError: "The browser did not allow the microphone.", NotFoundError: "There is no microphone." };

/** Record in a dialog; `done(file)` is called with what was recorded. */
export async function record(done) {
  if (!navigator.mediaDevices?.getUserMedia) return notice("The microphone needs a page at localhost or with https.", { bad: true });
  let stream, context;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false, autoGainControl: true, noiseSuppression: false } });
    context = new AudioContext();
    await context.audioWorklet.addModule("/static/recorder.js");
  } catch (error) {
    stream?.getTracks().forEach((track) => track.stop());
    return notice(REASONS[error.name] || "The microphone cannot be used.", { bad: true });
  }
  const blocks = [], node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
  const time = h("p", { class: "big", role: "timer", text: clock(0) }), level = h("meter", { min: 0, max: 1, value: 0, "aria-label": "Level" });
  let samples = 0, running = true, keep = false;
  node.port.addEventListener("message", ({ data }) => {
    if (!running) return;
    blocks.push(data);
    samples += data.length;
    time.textContent = clock(samples / context.sampleRate);
    level.value = Math.min(1, 1.5 * data.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
  });
  node.port.start();
  context.createMediaStreamSource(stream).connect(node);
  const box = dialog("Recording", time, level, h("p", { class: "buttons" },
    h("button", { type: "button", class: "main", autofocus: true, text: "Stop and read", onclick: () => { keep = true; box.close(); } }),
    h("button", { type: "button", text: "Throw away", onclick: () => box.close() })));
  box.addEventListener("close", () => {
    running = false;
    stream.getTracks().forEach((track) => track.stop());
    const rate = context.sampleRate;
    context.close();
    if (keep && samples) done(new File([encode(blocks, samples, rate)], `recording ${stamp()}.wav`, { type: "audio/wav" }));
    else if (keep) notice("Nothing came from the microphone.", { bad: true });
  });
}

/** The time for a file's name. */
export function stamp() {
  const now = new Date(), two = (number) => String(number).padStart(2, "0");
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())} ${two(now.getHours())}-${two(now.getMinutes())}-${two(now.getSeconds())}`;
}

/** A WAV file of 16 bits a sample. */
function encode(blocks, samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples));
  const write = (place, text) => [...text].forEach((sign, n) => view.setUint8(place + n, sign.charCodeAt(0)));
  write(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples, true);
  write(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channel
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  write(36, "data");
  view.setUint32(40, 2 * samples, true);
  let place = 44;
  for (const block of blocks) {
    for (const value of block) {
      view.setInt16(place, Math.round(32767 * Math.max(-1, Math.min(1, value))), true);
      place += 2;
    }
  }
  return view.buffer;
}
