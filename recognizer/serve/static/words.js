// Words of a text: how sure they are, and where they stand when the text was changed.

export const UNSURE = 0.8, DOUBTFUL = 0.5;

/** "sure", "unsure", "doubtful", or "changed" for a word that nobody measured. */
export function grade(word) {
  if (word.changed) return "changed";
  if (word.confidence === null || word.confidence === undefined) return "sure";
  return word.confidence < DOUBTFUL ? "doubtful" : word.confidence < UNSURE ? "unsure" : "sure";
}

/** Words of a text with the places and alternatives of those that were read; changed ones stand where those stood that they replace. */
export function placeWords(text, read, end) {
  const texts = text.match(/\S+/g) || [];
  const placed = [];
  for (const [a, b, c, d] of differences(read.map((word) => word.text), texts)) {
    if (a === null) { placed.push(read[c]); continue; } // the same
    const left = a < b ? read[a].start : a ? read[a - 1].end : 0;
    const right = a < b ? read[b - 1].end : a < read.length ? read[a].start : end;
    placed.push(...share(texts.slice(c, d), left, Math.max(left, right), d - c === b - a ? read.slice(a, b) : []));
  }
  return placed;
}

function share(texts, left, right, replaced) {
  const total = texts.reduce((sum, text) => sum + text.length + 1, 0);
  let place = left;
  return texts.map((text, number) => {
    const old = replaced[number];
    const start = old ? old.start : place;
    place += (text.length + 1) * (right - left) / total;
    const alternatives = old ? [old.text, ...old.alternatives].filter((other) => other !== text) : [];
    return { text, start, end: old ? old.end : place, confidence: null, alternatives, changed: true };
  });
}

/** Steps from one list of texts to another: [null, null, i, null] for read[i] kept, else [a, b, c, d] for read[a:b] in whose place is other[c:d]. */
function differences(one, other) {
  let head = 0, tail = 0;
  const shorter = Math.min(one.length, other.length);
  while (head < shorter && one[head] === other[head]) head++;
  while (tail < shorter - head && one[one.length - 1 - tail] === other[other.length - 1 - tail]) tail++;
  const n = one.length - head - tail, m = other.length - head - tail;
  const steps = Array.from({ length: head }, (_, i) => [null, null, i, null]);
  steps.push(...(n * m > 4e6 ? (n || m ? [[head, head + n, head, head + m]] : []) : align(one, other, head, n, m)));
  for (let i = one.length - tail; i < one.length; i++) steps.push([null, null, i, null]);
  return steps;
}

/** The middle, by the longest common subsequence. */
function align(one, other, head, n, m) {
  const width = m + 1, best = new Uint32Array((n + 1) * width);
  for (let i = n - 1; i >= 0; i--) {
    for (let j = m - 1; j >= 0; j--) {
      best[i * width + j] = one[head + i] === other[head + j] ? best[(i + 1) * width + j + 1] + 1
        : Math.max(best[(i + 1) * width + j], best[i * width + j + 1]);
    }
  }
  const steps = [];
  let i = 0, j = 0, a = 0, c = 0;
  const close = () => { if (i > a || j > c) steps.push([head + a, head + i, head + c, head + j]); };
  while (i < n && j < m) {
    if (one[head + i] === other[head + j]) {
      close();
      steps.push([null, null, head + i, null]);
      a = ++i;
      c = ++j;
    } else if (best[(i + 1) * width + j] >= best[i * width + j + 1]) i++;
    else j++;
  }
  i = n;
  j = m;
  close();
  return steps;
}

/** A text whose n-th word is another; the white space between words stays, but for what stood before a word that goes. */
export function replaceWord(text, number, word) {
  let count = -1;
  const changed = text.replace(/(\s*)(\S+)/g, (whole, space, old) => {
    count += 1;
    return count !== number ? whole : word ? space + word : "";
  });
  return number === 0 && !word ? changed.trimStart() : changed;
}
