// A recognizer of lines from a file that `recognizer export` wrote, run by onnxruntime-web and decoded greedily. All that depends on the model is
// read from the file: its settings, its alphabet.

import { isBlank, prepareLine, toColumns, toGray } from "./line.js";

const RUNTIME = "./ort.wasm.bundle.min.mjs", MAX_SIDE = 16_384; // pixels; canvases of browsers hold no more
const EXPORT = "`recognizer export handwriting-fr-fast model.onnx`";
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const KNOWN = { kind: ["pixels"], polarity: ["auto", "dark_on_light", "light_on_dark"], contrast: ["stretch", "background", "none"],
  crop: ["true", "false"], deskew: ["false"], deslant: ["false"] }; // values of settings; what else changes the columns is in the network

let runtime = null;

/** onnxruntime-web with one thread, which asks nothing of the server; more need headers that isolate the page. */
async function loadRuntime() {
  if (runtime) return runtime;
  const address = new URL(RUNTIME, import.meta.url).href;
  try {
    runtime = await import(address);
  } catch (error) {
    throw new Error(`onnxruntime-web cannot be loaded (${error.message}); lay its two files beside this page, see README.md`);
  }
  runtime.env.wasm.numThreads = 1;
  runtime.env.logLevel = "error";
  return runtime;
}

export class Recognizer {
  /** Open the bytes of a file; an Error says why they are no recognizer of lines. */
  static async open(bytes, name) {
    const { alphabet, features, separator } = readModel(bytes, name), ort = await loadRuntime();
    try {
      return new Recognizer(ort, await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] }), alphabet, features, separator);
    } catch (error) {
      throw new Error(`${name}: onnxruntime-web cannot run it (${String(error.message ?? error).split("\n")[0]}); export again`);
    }
  }

  constructor(ort, session, alphabet, features, separator) {
    Object.assign(this, { ort, session, alphabet, features, separator });
  }

  /** Read a picture of a line, ImageData: the text, and the milliseconds that its preparation and the network took. */
  async transcribe(picture) {
    const start = performance.now(), strip = prepareLine(toGray(picture), this.features), prepared = performance.now();
    const text = isBlank(strip) ? "" : await this.#run(toColumns(strip), strip.width);
    return { text, preparation: prepared - start, network: performance.now() - prepared };
  }

  async #run(columns, count) {
    const { Tensor } = this.ort, lengths = new Tensor("int64", BigInt64Array.of(BigInt(count)), [1]);
    const found = await this.session.run({ inputs: new Tensor("uint8", columns, [1, count, this.features.height]), lengths });
    const text = decode(found.log_probs.data, Number(found.frames.data[0]), this.alphabet).join(this.separator);
    for (const output of Object.values(found)) output.dispose();
    return text;
  }

  close() { return this.session.release(); }
}

/** Symbols of the likeliest label in each frame, repeats merged and blanks, label 0, dropped; of equals the first. */
function decode(logProbs, frames, alphabet) {
  const symbols = [], count = alphabet.length;
  for (let frame = 0, before = 0; frame < frames; frame++) {
    let best = 0;
    for (let label = 1; label < count; label++) if (logProbs[frame * count + label] > logProbs[frame * count + best]) best = label;
    if (best && best !== before) symbols.push(alphabet[best]);
    before = best;
  }
  return symbols;
}

/** The pixels of an image file; transparent parts are white paper, colors are as stored, as in Python. */
export async function readPicture(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    throw new Error(`${file.name}: the browser cannot read this picture; save it as PNG, JPEG or WebP`);
  }
  const { width, height } = bitmap;
  if (Math.max(width, height) > MAX_SIDE) throw new Error(`${file.name}: ${width} x ${height} pixels, more than ${MAX_SIDE} on a side; make it smaller`);
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

/** Labels, settings of the features and what stands between symbols, from the metadata of a file. */
function readModel(bytes, name) {
  let metadata;
  try {
    metadata = readMetadata(bytes);
  } catch {
    throw new Error(`${name}: is no ONNX file, or damaged; make one with ${EXPORT}`);
  }
  for (const key of ["kind", "config", "alphabet"]) {
    if (!(key in metadata)) throw new Error(`${name}: is no recognizer: its metadata have no '${key}'; make one with ${EXPORT}`);
  }
  if (metadata.kind !== "line") throw new Error(`${name}: reads ${metadata.kind}, this page lines of handwriting; make a file with ${EXPORT}`);
  const settings = readSection(metadata.config, "features");
  for (const [key, values] of Object.entries(KNOWN)) {
    if (!values.includes(settings[key])) throw new Error(`${name}: was trained with features.${key}=${settings[key]}, which this page cannot do; use Python`);
  }
  const alphabet = JSON.parse(metadata.alphabet);
  if (alphabet.some((symbol) => RIGHT_TO_LEFT.test(symbol))) throw new Error(`${name}: writes from right to left, which this page cannot do; use Python`);
  const { polarity, contrast, crop } = settings, separator = readSection(metadata.config, "text").level === "units" ? " " : "";
  return { alphabet, separator, features: { height: Number(settings.height), polarity, contrast, crop: crop === "true" } };
}

/** The metadata of an ONNX file by name. onnxruntime-web does not give them out: they are fields 14 of the protocol buffer, pairs of key and value. */
function readMetadata(bytes) {
  const decoder = new TextDecoder("utf-8", { fatal: true }), metadata = {};
  for (const [field, pair] of readFields(bytes)) {
    if (field !== 14) continue;
    const { 1: key, 2: value } = Object.fromEntries([...readFields(pair)].map(([number, part]) => [number, decoder.decode(part)]));
    metadata[key] = value ?? "";
  }
  return metadata;
}

/** The fields of a message of a protocol buffer that are strings, bytes or messages: their numbers and bytes. */
function* readFields(bytes) {
  let at = 0;
  const readNumber = () => { // seven bits a byte, the lowest first
    for (let value = 0, unit = 1; at < bytes.length; unit *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * unit;
      if (byte < 128) return value;
    }
    throw new RangeError("cut short");
  };
  while (at < bytes.length) {
    const tag = readNumber(), kind = tag % 8;
    if (kind === 0) readNumber();
    else if (kind === 1) at += 8;
    else if (kind === 5) at += 4;
    else if (kind === 2) {
      const size = readNumber();
      if (at + size > bytes.length) throw new RangeError("cut short");
      yield [Math.floor(tag / 8), bytes.subarray(at, (at += size))];
    } else throw new RangeError(`no field of kind ${kind}`);
  }
}

/** The plain values of a section of the settings, as text. Of YAML only what `recognizer export` writes is understood: `key: value`, indented. */
function readSection(config, name) {
  const section = config.match(new RegExp(`^${name}:\n((?: .*\n)*)`, "m"))?.[1] ?? "";
  return Object.fromEntries([...section.matchAll(/^ {2}(\w+): (.*)$/gm)].map(([, key, value]) => [key, value]));
}
