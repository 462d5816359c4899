// A picture of a line of text as the strip of ink that the network reads: the steps of recognizer.image in Python, with the same constants,
// roundings and resampling (a canvas scales in a way of its own, which differs between browsers).
//
// Pictures are {data, width, height}, row by row: gray or ink as Uint8Array, 0..255, or one value a tile as Float32Array.

const INK = 128; // from which a pixel of ink counts

const MAX_INPUT_PIXELS = 2 ** 23, MAX_LINE_PIXELS = 2 ** 24, MAX_TALLNESS = 100;

/** RGBA of a canvas as gray, ITU-R 601 luma as Pillow rounds it; the canvas has no transparent parts. */
export function toGray({ data, width, height }) {
  const gray = new Uint8Array(width * height);
  for (let n = 0; n < gray.length; n++) gray[n] = (data[4 * n] * 19595 + data[4 * n + 1] * 38470 + data[4 * n + 2] * 7471 + 0x8000) >> 16;
  return { data: gray, width, height };
}

/**
 * The strip of ink, 255 on paper 0, of `features.height` rows; it holds no ink where nothing is written.
 * `features`: the settings of that name of the model, without deskew and deslant. An Error says why a picture can be no line.
 */
export function prepareLine(gray, features) {
  checkShape(gray, features.height, "");
  const factor = Math.ceil(Math.sqrt(gray.data.length / MAX_INPUT_PIXELS));
  if (factor > 1) gray = reduce(gray, factor);
  if (features.crop) gray = trimBorder(gray);
  const ink = normalizeContrast(orientPolarity(smoothNoise(gray), features.polarity), features.contrast);
  const inner = cropMargins(ink);
  const rows = describeRows(inner);
  if (rows) throw new Error(`not one line: ${rows}; cut the lines out of the page`);
  const cut = features.crop ? inner : ink;
  checkShape(cut, features.height, " of ink");
  return scaleHeight(cut, features.height);
}

/** Whether a strip holds no ink. */
export function isBlank({ data }) {
  const levels = histogramOf(data);
  return levels.findLastIndex(Boolean) - levels.findIndex(Boolean) < 16;
}

/** A strip as the columns that the network takes, one after another. */
export const toColumns = (strip) => transpose(strip).data;

function checkShape({ width, height }, rows, of) {
  const subject = `${width} x ${height} pixels${of}`;
  if (height > MAX_TALLNESS * width) throw new Error(`${subject}, more than ${MAX_TALLNESS} times as tall as wide: not a line of text`);
  if (width * rows * rows > MAX_LINE_PIXELS * height) throw new Error(`${subject}, too long for a line of text; cut it`);
}

// numbers

/** Round to the nearest, halves to the even one, as Python does. */
function roundEven(value) {
  const low = Math.floor(value), part = value - low;
  return part < 0.5 || (part === 0.5 && low % 2 === 0) ? low : low + 1;
}

function histogramOf(data) {
  const counts = new Array(256).fill(0);
  for (const value of data) counts[value]++;
  return counts;
}

const square = (value) => value * value;
const sum = (values) => values.reduce((total, value) => total + value, 0);

/** Sums of the first 1, 2, ... values. */
function cumulate(values) {
  let total = 0;
  return values.map((value) => (total += value));
}

/** The value of a rank, from 0, of values that a histogram counts. */
function ranked(counts, rank) {
  let level = 0;
  for (let below = counts[0]; below <= rank; below += counts[level]) level++;
  return level;
}

/** A quantile of values that a histogram counts, interpolated between two of them. */
function quantile(counts, part) {
  const place = part * (sum(counts) - 1), rank = Math.floor(place);
  const low = ranked(counts, rank), high = place > rank ? ranked(counts, rank + 1) : low;
  return low + (high - low) * (place - rank);
}

// pictures

function cut({ data, width }, top, bottom, left, right) {
  const part = new data.constructor((bottom - top) * (right - left));
  for (let y = top; y < bottom; y++) part.set(data.subarray(y * width + left, y * width + right), (y - top) * (right - left));
  return { data: part, width: right - left, height: bottom - top };
}

function transpose({ data, width, height }) {
  const turned = new data.constructor(data.length);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) turned[x * height + y] = data[y * width + x];
  return { data: turned, width: height, height: width };
}

const map = ({ data, width, height }, change) => ({ data: data.map(change), width, height });
const invert = (gray) => map(gray, (value) => 255 - value);

/** Share of the pixels of 0 and 1 that are 1, in each column. */
function columnShares({ data, width, height }) {
  const counts = new Array(width).fill(0);
  for (let n = 0; n < data.length; n++) counts[n % width] += data[n];
  return counts.map((count) => count / height);
}

/** Means of squares of `factor` pixels, as Pillow's `reduce` rounds them. */
function reduce({ data, width, height }, factor) {
  const small = { data: null, width: Math.ceil(width / factor), height: Math.ceil(height / factor) };
  small.data = new Uint8Array(small.width * small.height);
  for (let y = 0; y < small.height; y++) {
    for (let x = 0; x < small.width; x++) {
      const bottom = Math.min(height, (y + 1) * factor), right = Math.min(width, (x + 1) * factor);
      let total = 0;
      for (let row = y * factor; row < bottom; row++) for (let column = x * factor; column < right; column++) total += data[row * width + column];
      const count = (bottom - y * factor) * (right - x * factor);
      const multiplier = Math.floor(Math.fround(2 ** 24 / count)); // division by a product, in integers
      small.data[y * small.width + x] = Math.floor((total + (count >> 1)) * multiplier / 2 ** 24);
    }
  }
  return small;
}

const bilinear = { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) };
const bicubic = {
  support: 2,
  weight(x) {
    x = Math.abs(x);
    return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? -0.5 * (((x - 5) * x + 8) * x - 4) : 0;
  },
};

/**
 * Scale as Pillow's `resize`: the filter is widened where the picture gets smaller; first rows, then columns, rounded to pixels after each.
 * Pillow 13 takes pictures that are taller than wide the other way round, which alters some of their pixels by a few levels.
 */
function resize(picture, width, height, filter) {
  if (width !== picture.width) picture = resizeRows(picture, width, filter);
  return height === picture.height ? picture : transpose(resizeRows(transpose(picture), height, filter));
}

function resizeRows({ data, width, height }, size, filter) {
  const whole = data instanceof Uint8Array; // then Pillow counts in integers, of which 2 ** 22 is 1
  const scale = width / size, wide = Math.max(scale, 1), support = filter.support * wide;
  const parts = Array.from({ length: size }, (_, x) => {
    const center = (x + 0.5) * scale, weights = [];
    const first = Math.max(0, Math.trunc(center - support + 0.5)), end = Math.min(width, Math.trunc(center + support + 0.5));
    for (let n = first; n < end; n++) weights.push(filter.weight((n - center + 0.5) * (1 / wide)));
    const total = sum(weights);
    return { first, weights: weights.map((weight) => (whole ? Math.trunc(weight / total * 2 ** 22 + (weight < 0 ? -0.5 : 0.5)) : weight / total)) };
  });
  const scaled = new data.constructor(size * height);
  for (let y = 0; y < height; y++) {
    parts.forEach(({ first, weights }, x) => {
      let value = whole ? 2 ** 21 : 0;
      for (let n = 0; n < weights.length; n++) value += data[y * width + first + n] * weights[n];
      scaled[y * size + x] = whole ? Math.min(255, Math.max(0, value >> 22)) : value;
    });
  }
  return { data: scaled, width: size, height };
}

function scaleHeight(ink, height) {
  return ink.height === height ? ink : resize(ink, Math.max(1, roundEven(ink.width * height / ink.height)), height, bicubic);
}

/** Gaussian filter, the border repeated; rounded down to whole numbers after each axis where the picture has such, as scipy does. */
function gaussian(picture, sigma) {
  const radius = Math.trunc(4 * sigma + 0.5);
  let weights = Array.from({ length: radius + 1 }, (_, n) => Math.exp(-0.5 / (sigma * sigma) * n * n)); // by distance
  const total = 2 * sum(weights) - weights[0];
  weights = weights.map((weight) => weight / total);
  const rows = ({ data, width, height }) => {
    const smooth = new data.constructor(data.length), line = new Float64Array(width + 2 * radius);
    for (let y = 0; y < height; y++) {
      for (let n = 0; n < line.length; n++) line[n] = data[y * width + Math.min(width - 1, Math.max(0, n - radius))];
      for (let x = 0; x < width; x++) {
        let value = line[x + radius] * weights[0];
        for (let n = radius; n > 0; n--) value += (line[x + radius - n] + line[x + radius + n]) * weights[n];
        smooth[y * width + x] = value + (data instanceof Uint8Array ? 1e-9 : 0); // 200 must not become 199 as weights do not sum up to quite 1
      }
    }
    return { data: smooth, width, height };
  };
  return rows(transpose(rows(transpose(picture))));
}

/** The largest (or smallest) of each 3 x 3 values. */
function extreme({ data, width, height }, choose) {
  const found = new data.constructor(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let best = data[y * width + x];
      for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
        for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) best = choose(best, data[row * width + column]);
      }
      found[y * width + x] = best;
    }
  }
  return { data: found, width, height };
}

// noise, borders

function smoothNoise(gray) {
  const noise = noiseLevel(gray);
  if (noise < 2) return gray;
  const share = cumulate(histogramOf(gray.data)).map((count) => count / gray.data.length);
  const range = share.findIndex((part) => part >= 0.995) - share.findIndex((part) => part >= 0.005);
  return noise < 1 / 25 * range ? gray : gaussian(gray, Math.min(1 / 64 * gray.height, 8));
}

/** Standard deviation from pixel to pixel, by the median of the second differences along both axes. */
function noiseLevel({ data, width, height }) {
  if (Math.min(width, height) < 3) return 0;
  const sizes = new Array(16 * 255 + 1).fill(0);
  for (let y = 1; y < height - 1; y++) {
    for (let n = y * width + 1; n < (y + 1) * width - 1; n++) {
      const column = (m) => data[m - width] - 2 * data[m] + data[m + width];
      sizes[Math.abs(column(n - 1) - 2 * column(n) + column(n + 1))]++;
    }
  }
  const half = (width - 2) * (height - 2) / 2;
  return 1.4826 * cumulate(sizes).findIndex((count) => count >= half) / 6;
}

/** Cut off the dark frame that a scanner leaves around light paper. */
function trimBorder(gray) {
  const { width, height } = gray, smooth = smoothNoise(gray), threshold = otsuThreshold(histogramOf(smooth.data));
  const dark = map(smooth, (value) => (value < threshold ? 1 : 0));
  const [quarter, fourth] = [Math.floor(height / 4), Math.floor(width / 4)];
  const middle = cut(dark, quarter, height - quarter, fourth, width - fourth).data;
  if (sum(middle) / middle.length > 0.5) return gray;
  const isDark = (top, bottom, left, right) => { const { data } = cut(dark, top, bottom, left, right); return sum(data) / data.length >= 0.9; };
  if (![[0, 1, 0, width], [height - 1, height, 0, width], [0, height, 0, 1], [0, height, width - 1, width]].some((edge) => isDark(...edge))) return gray;
  let [top, bottom, left, right] = [0, height, 0, width];
  for (let before = ""; before !== String([top, bottom, left, right]);) {
    before = String([top, bottom, left, right]);
    let [first, last] = edgeRuns(cut(dark, top, bottom, left, right));
    [top, bottom] = [top + first, bottom - last];
    [first, last] = edgeRuns(transpose(cut(dark, top, bottom, left, right)));
    [left, right] = [left + first, right - last];
  }
  const inside = cut(smooth, top, bottom, left, right).data;
  if (inside.length === 0 || inside.length === gray.data.length) return gray;
  const outer = (size) => (size ? Math.max(1, size - 2) : 0); // without the pixels next to the paper, which are of either kind
  const sides = [[0, outer(top), 0, width], [height - outer(height - bottom), height, 0, width],
    [0, height, 0, outer(left)], [0, height, width - outer(width - right), width]];
  const counts = new Array(256).fill(0);
  for (const side of sides) for (const value of cut(gray, ...side).data) counts[value]++;
  return isPlain(counts, quantile(histogramOf(inside), 0.5)) ? cut(gray, top, bottom, left, right) : gray;
}

/** Whether the pixels of a border have one level that is far from the paper's, and hold no writing. */
function isPlain(counts, paper) {
  const [low, level, high] = [0.16, 0.5, 0.84].map((part) => quantile(counts, part)), distance = Math.abs(paper - level), deviation = (high - low) / 2;
  if (distance < Math.max(12, 4 * deviation)) return false;
  const strays = counts.filter((_, value) => Math.abs(value - level) > Math.max(distance / 8, 5 * deviation));
  return sum(strays) / sum(counts) <= 0.01;
}

/** How many rows belong to a frame at the top and at the bottom. */
function edgeRuns(border) {
  const { width, height } = border;
  if (!width || !height) return [0, 0];
  const light = columnShares(transpose(border)).map((share) => share < 0.9);
  if (!light.includes(true)) return [0, 0];
  const first = light.indexOf(true), last = height - 1 - light.lastIndexOf(true);
  const isThin = (run) => run > 0 && run < Math.max(1, roundEven(1 / 6 * Math.min(width, height)));
  if (isThin(first) || isThin(last)) { // it may be a stroke, unless the margins that it crosses hold no ink
    const margin = 1 + Math.max(1, roundEven(1 / 25 * Math.min(width, height)));
    const shares = columnShares(cut(border, first, height - last, 0, width));
    const inked = (part) => part.filter((share) => share > 0.02 && share < 0.9).length;
    if (inked(shares.slice(0, margin)) > 1 || inked(shares.slice(-margin)) > 1) return [first, last].map((run) => (isThin(run) ? 0 : run));
  }
  return [first, last];
}

// paper and ink

/** Dark ink on light paper, whatever it was. */
function orientPolarity(gray, polarity) {
  return polarity === "light_on_dark" || (polarity === "auto" && isLightOnDark(gray)) ? invert(gray) : gray;
}

/** Pixels stray from the local median towards the ink: by the sign of their third moment about it. */
function isLightOnDark(gray) {
  const tile = tileSide(gray, 2), local = spreadTiles(tileRanks(gray, tile, [Math.floor((tile * tile - 1) / 2), Math.floor(tile * tile / 2)]), tile);
  let moment = 0;
  for (let y = 0; y < gray.height; y++) {
    for (let x = 0; x < gray.width; x++) {
      const deviation = Math.fround(gray.data[y * gray.width + x] - local.data[y * local.width + x]);
      moment += Math.fround(Math.fround(deviation * deviation) * deviation);
    }
  }
  return moment > 0;
}

/** Side of the square tiles of which `parts` make up the height. */
const tileSide = ({ width, height }, parts) => Math.max(4, Math.min(Math.floor(height / parts), 2 * width));

/** The mean of the pixels of two ranks in each tile; the last tiles repeat the border. */
function tileRanks({ data, width, height }, tile, ranks) {
  const columns = Math.ceil(width / tile), rows = Math.ceil(height / tile), values = new Float32Array(rows * columns);
  for (let n = 0; n < values.length; n++) {
    const counts = new Array(256).fill(0), top = Math.floor(n / columns) * tile, left = n % columns * tile;
    for (let y = top; y < top + tile; y++) {
      const row = Math.min(height - 1, y) * width;
      for (let x = left; x < left + tile; x++) counts[data[row + Math.min(width - 1, x)]]++;
    }
    values[n] = (ranked(counts, ranks[0]) + ranked(counts, ranks[1])) / 2;
  }
  return { data: values, width: columns, height: rows };
}

/** One value a tile interpolated between the tiles' centers; the picture may be larger than the one that was cut into tiles. */
const spreadTiles = (values, tile) => resize(values, values.width * tile, values.height * tile, bilinear);

/** Divide by a local estimate of the paper, the 80th percentile of each tile, closed over tiles full of ink: shadows go. */
function flattenPaper(gray) {
  const tile = tileSide(gray, 4), rank = Math.floor(4 * tile * tile / 5);
  const closed = extreme(extreme(tileRanks(gray, tile, [rank, rank]), Math.max), Math.min);
  const local = spreadTiles(gaussian(closed, 0.7), tile), flat = new Uint8Array(gray.data.length);
  for (let y = 0; y < gray.height; y++) {
    for (let x = 0; x < gray.width; x++) {
      const factor = Math.fround(224 / Math.max(local.data[y * local.width + x], 1));
      flat[y * gray.width + x] = Math.min(255, Math.fround(gray.data[y * gray.width + x] * factor));
    }
  }
  return { ...gray, data: flat };
}

/** Ink 255 on paper 0; all paper where no level parts them. */
function normalizeContrast(gray, contrast) {
  let ink = invert(contrast === "background" ? flattenPaper(gray) : gray), levels = findLevels(ink);
  if (!levels && contrast !== "background") {
    const flat = invert(flattenPaper(gray));
    levels = findLevels(flat);
    if (contrast === "stretch") ink = flat;
  }
  if (!levels) return map(ink, () => 0);
  if (contrast === "none") return ink;
  const [paper, level] = levels;
  const table = Array.from({ length: 256 }, (_, value) => Math.min(255, Math.max(0, roundEven((value - paper) * (255 / (level - paper))))));
  return map(ink, (value) => table[value]);
}

/** The paper's and the ink's level; null where there is no ink. Most of a picture is paper, or else ink. */
function findLevels({ data }) {
  const counts = histogramOf(data), levels = findMinority(counts);
  return levels || (findMinority(counts.reverse())?.map((level) => 255 - level).reverse() ?? null);
}

function findMinority(counts) {
  const total = sum(counts), share = cumulate(counts).map((count) => count / total), at = (part) => share.findIndex((value) => value >= part);
  const median = at(0.5), noise = median - at(0.16), paper = median + 3 * noise;
  const beyond = counts.map((count, level) => (level > paper ? count : 0));
  if (!sum(beyond)) return null;
  beyond.fill(0, 0, otsuThreshold(beyond));
  const enough = 0.75 * sum(beyond), level = cumulate(beyond).findIndex((count) => count >= enough);
  const within = (part) => { // in parts of a level, which smoothed noise falls between
    const found = at(part), below = found ? share[found - 1] : 0;
    return found + (part - below) / (share[found] - below);
  };
  const spread = Math.max(noise, within(0.5) - within(0.16));
  if (level - median < Math.max(16, 5 * spread) || level <= paper) return null;
  if (spread >= 2 && sum(counts.slice(Math.ceil(median + 5 * spread))) < 5e-4 * total) return null;
  return [Math.max(paper, median + 0.05 * (level - median)), level];
}

/** First level of the upper of the two classes that differ most. */
function otsuThreshold(counts) {
  const below = cumulate(counts), mass = cumulate(counts.map((count, level) => count * level)), total = below[255];
  let best = -1, threshold = 0;
  for (let level = 0; level < 256; level++) {
    const above = total - below[level];
    if (!below[level] || !above) continue;
    const distance = mass[level] / below[level] - (mass[255] - mass[level]) / above, between = below[level] * above * square(distance);
    if (between > best) [best, threshold] = [between, level + 1];
  }
  return best < 0 ? counts.findIndex((count) => count > 0) : threshold;
}

// margins, rows

/** Cut off empty margins: large pieces of ink decide where the text is, smaller ones count when they are near it. */
function cropMargins(ink) {
  const { width, height } = ink, bounds = textBounds(ink);
  if (!bounds) return ink;
  let [top, bottom, left, right] = bounds;
  const margin = Math.max(1, roundEven(0.03 * height)), missing = Math.max(0, Math.ceil(1 / 3 * height) - (bottom - top) - 2 * margin);
  [top, bottom] = [top - margin - Math.floor(missing / 2), bottom + margin + Math.floor((missing + 1) / 2)];
  [top, bottom] = [Math.max(0, top - Math.max(0, bottom - height)), Math.min(height, bottom + Math.max(0, -top))];
  return cut(ink, top, bottom, Math.max(0, left - margin), Math.min(width, right + margin));
}

/** First and last row, first and last column of the text, ends excluded; null where there is no ink. */
function textBounds(ink) {
  const pieces = findPieces(ink), { height } = ink;
  if (!pieces.length) return null;
  const large = pieces.filter((piece) => piece.area >= Math.max(2, square(height / 20)));
  if (!large.length) return enclose(pieces);
  const [top, bottom, left, right] = enclose(large);
  const near = pieces.filter(({ area, bounds }) => area >= Math.max(2, square(height / 60)) && bounds[0] < bottom + height / 4
    && bounds[1] > top - height / 4 && bounds[2] < right + height / 2 && bounds[3] > left - height / 2);
  return enclose([...large, ...near]);
}

function enclose(pieces) {
  return pieces.map((piece) => piece.bounds).reduce((one, other) => one.map((value, n) => (n % 2 ? Math.max : Math.min)(value, other[n])));
}

/** Pieces of ink that hang together, corners included: how many pixels each has, and its bounds. */
function findPieces({ data, width, height }) {
  const rest = data.map((value) => (value >= INK ? 1 : 0)), pieces = [], open = [];
  for (let start = 0; start < rest.length; start++) {
    if (!rest[start]) continue;
    const piece = { area: 0, bounds: [height, 0, width, 0] }, { bounds } = piece;
    rest[start] = 0;
    open.push(start);
    while (open.length) {
      const place = open.pop(), y = Math.floor(place / width), x = place % width;
      piece.area++;
      if (y < bounds[0]) bounds[0] = y;
      if (y >= bounds[1]) bounds[1] = y + 1;
      if (x < bounds[2]) bounds[2] = x;
      if (x >= bounds[3]) bounds[3] = x + 1;
      for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
        for (let next = row * width + Math.max(0, x - 1); next <= row * width + Math.min(width - 1, x + 1); next++) {
          if (rest[next]) {
            rest[next] = 0;
            open.push(next);
          }
        }
      }
    }
    pieces.push(piece);
  }
  return pieces;
}

/** Why ink without margins cannot be one line of text, such as "three rows of ink"; null if it can be. */
function describeRows(picture) {
  const { width, height } = picture, ink = map(picture, (value) => (value >= INK ? 1 : 0));
  const runs = new Array(width).fill(0), inked = new Array(width).fill(0);
  for (let n = 0; n < ink.data.length; n++) {
    if (!ink.data[n]) continue;
    inked[n % width] = 1;
    if (n < width || !ink.data[n - width]) runs[n % width]++;
  }
  const columns = sum(inked);
  if (!columns) return null;
  const crossings = sum(runs) / columns; // strokes that a column crosses
  let bands = findRows(ink, sum(ink.data) / columns / crossings);
  if (bands.length === 2) {
    const [low, high] = bands.map(([top, bottom]) => bottom - top).sort((one, other) => one - other);
    if (!(bands[0][0] > 0 && bands[1][1] < height && low >= 0.75 * high && width <= 15 * height)) bands = [];
  }
  if (width < 2 * height && crossings > Math.max(10, 4 * bands.length)) return "many rows of ink";
  if (bands.length < 2) return null;
  const words = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
  return `${words[bands.length - 2] ?? bands.length} rows of ink`;
}

/** First row and row behind the last of each band of text: it begins where most eighths of the width are inked, and ends where next to none are. */
function findRows(ink, stroke) {
  const { width, height } = ink, parts = Math.min(8, width), counts = new Array(height).fill(0);
  for (let part = 0; part < parts; part++) {
    const left = Math.trunc(part * (width / parts)), right = part === parts - 1 ? width : Math.trunc((part + 1) * (width / parts));
    for (let y = 0; y < height; y++) if (ink.data.subarray(y * width + left, y * width + right).includes(1)) counts[y]++;
  }
  let bands = [], start = null, last = null;
  counts.forEach((count, row) => {
    const share = count / parts;
    if (share >= 0.5) [start, last] = [start ?? row, row];
    else if (share <= 1 / 8 && start !== null) {
      bands.push([start, last + 1]);
      start = null;
    }
  });
  if (start !== null) bands.push([start, last + 1]);
  const highest = Math.max(...bands.map(([top, bottom]) => bottom - top));
  bands = bands.filter(([top, bottom]) => bottom - top >= Math.max(0.5 * highest, 3 * stroke));
  const joined = [];
  for (const [top, bottom] of bands) {
    const above = joined.at(-1);
    if (above && top - above[1] < 0.1 * highest) above[1] = bottom;
    else joined.push([top, bottom]);
  }
  return joined;
}
