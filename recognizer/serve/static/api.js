// Requests to the service, and its news.

/** A failure that the service explained, or that it could not be reached (status 0). */
export class Failure extends Error {
  constructor(message, status, body = null) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

const GONE = "The service does not answer.";

function explain(status, body) {
  return new Failure(body?.error?.message || `The service answered with status ${status}.`, status, body);
}

async function request(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(GONE, 0);
  }
  if (!answer.ok) throw explain(answer.status, await answer.json().catch(() => null));
  return answer;
}

export const get = async (path, signal) => (await request(path, { signal })).json();

export async function send(method, path, value) {
  const options = value === undefined ? {} : { body: JSON.stringify(value), headers: { "Content-Type": "application/json" } };
  return (await request(path, { method, ...options })).json();
}

export const itemPath = (id, rest = "") => `/api/items/${encodeURIComponent(id)}${rest}`;

/** Send a form with files; `progress` is called with the bytes sent so far. */
export function upload(path, form, progress) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open("POST", path);
    xhr.responseType = "json";
    xhr.upload.addEventListener("progress", (event) => progress(event.loaded));
    xhr.addEventListener("load", () => (xhr.status < 300 ? resolve(xhr.response) : reject(explain(xhr.status, xhr.response))));
    xhr.addEventListener("error", () => reject(new Failure(GONE, 0)));
    xhr.send(form);
  });
}

/** Fetch a file and hand it to the browser's downloads. */
export async function download(path, fallback) {
  const answer = await request(path);
  const stated = answer.headers.get("Content-Disposition") || "";
  const found = /filename\*=(?:UTF-8|utf-8)''([^;]+)/.exec(stated), plain = /filename="([^"]+)"/.exec(stated);
  save(await answer.blob(), found ? decodeURIComponent(found[1]) : plain ? plain[1] : fallback);
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const RETRY = 2000; // ms

/** Follow the news of the service; `handlers` by name of the event, and `up` and `down` for the connection. */
export function follow(handlers) {
  let source, known = null;
  const tell = (up) => {
    if (known !== up) (up ? handlers.up : handlers.down)(known !== null);
    known = up;
  };
  const open = () => {
    source = new EventSource("/api/events");
    source.addEventListener("open", () => tell(true));
    source.addEventListener("error", () => {
      tell(false);
      if (source.readyState === EventSource.CLOSED) setTimeout(open, RETRY);
    });
    for (const name of ["item", "counts", "teach", "failure", "reload"]) {
      source.addEventListener(name, (event) => handlers[name](JSON.parse(event.data)));
    }
  };
  open();
  addEventListener("pagehide", () => source.close());
}
