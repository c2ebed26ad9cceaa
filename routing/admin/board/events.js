// What has changed, newest first, with human times; the news are also told to screen readers.

import { ago, clock } from "./words.js";

const TOLD_AT_ONCE = 3;

const list = document.getElementById("event-list");
const news = document.getElementById("news");
let known = null; // the keys of the events shown; null before the first picture

// Show the picture's events, oldest given first; the last line says when the first topology came into service.
export function showEvents({ events, topology, since }) {
  const keys = events.map(keyOf);
  const all = [`${topology} ${since}`, ...keys].join();
  if (known !== null && known.all === all) return;
  const kept = list.scrollTop > 0 ? list.scrollHeight - list.scrollTop : null;
  const changed = events.some((event) => event.event === "topology");
  const start = { event: "in service", predictor: topology, reason: "", time: since };
  list.replaceChildren(...(changed ? events : [start, ...events]).toReversed().map(line));
  if (kept !== null) list.scrollTop = list.scrollHeight - kept; // whoever reads older ones goes on reading them
  if (known !== null) tell(events.filter((event) => !known.keys.has(keyOf(event))));
  known = { all, keys: new Set(keys) };
  showAges();
}

export function showAges() {
  const now = Date.now() / 1000;
  for (const time of list.querySelectorAll(".age")) time.textContent = ago(now - Number(time.dataset.time));
}

const keyOf = (event) => `${event.time} ${event.predictor} ${event.event}`;

function tell(fresh) {
  const latest = fresh.slice(-TOLD_AT_ONCE);
  if (latest.length) news.textContent = latest.map((e) => `${e.predictor} ${e.event}: ${e.reason}.`.trimStart()).join(" ");
}

function line(event) {
  const item = document.createElement("li");
  item.dataset.event = event.event;
  const time = part("time", "when", clock(event.time));
  time.dateTime = new Date(event.time * 1000).toISOString();
  const age = part("span", "age quiet", "");
  age.dataset.time = event.time;
  const what = part("span", "what", "");
  if (event.predictor) what.append(part("b", "", event.predictor), " ");
  what.append(part("span", "kind", event.event));
  item.append(time, age, what, part("span", "reason quiet", event.reason));
  return item;
}

function part(name, className, words) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = words;
  return made;
}
