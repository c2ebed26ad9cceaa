// The last five minutes as two areas, both from the axis up: requests answered, and refused in front of them.

import { tickLabels, ticks } from "./scale.js";

const SPAN_S = 300;
const MEAN_S = 5;
const HEIGHT = 206;
const EDGE = { left: 44, right: 10, top: 10, bottom: 24 };
const WIDE = 420; // pixels: room for a label at each minute
const SVG = "http://www.w3.org/2000/svg";

const frame = document.getElementById("chart");
let latest = [];

new ResizeObserver(() => draw()).observe(frame);

// Turn samples of counters into rates, each the mean of the seconds before it.
export function ratesOf(samples) {
  const rates = [];
  let first = 0;
  for (let last = 1; last < samples.length; last += 1) {
    while (samples[last][0] - samples[first][0] > MEAN_S + 0.5) first += 1;
    if (first === last) first = last - 1;
    const [from, answered, refused] = samples[first];
    const passed = samples[last][0] - from;
    rates.push({
      time: samples[last][0],
      answered: Math.max(0, samples[last][1] - answered) / passed,
      refused: Math.max(0, samples[last][2] - refused) / passed,
    });
  }
  return rates;
}

export function showRates(rates) {
  latest = rates;
  draw();
}

function draw() {
  const width = frame.clientWidth;
  if (width === 0) return;
  const now = latest.length ? latest.at(-1).time : 0;
  const values = ticks(Math.max(1, ...latest.map((rate) => Math.max(rate.answered, rate.refused))));
  const x = (time) => EDGE.left + (width - EDGE.left - EDGE.right) * (1 - (now - time) / SPAN_S);
  const y = (value) => HEIGHT - EDGE.bottom - ((HEIGHT - EDGE.top - EDGE.bottom) * value) / values.at(-1);
  const svg = element("svg", { width, height: HEIGHT, role: "img", "aria-label": inWords() });
  svg.append(hatch(), ...grid(width, values, y), ...minutes(width));
  const shown = latest.filter((rate) => now - rate.time <= SPAN_S);
  if (shown.length > 1) svg.append(...areas(shown, x, y));
  frame.replaceChildren(svg);
}

// Both as steps, one for each sample: a slope between two of them would show what nobody measured.
function areas(shown, x, y) {
  return [
    ...area("answered", shown, x, (rate) => y(rate.answered)),
    ...refusals(shown).flatMap((run) => area("refused", run, x, (rate) => y(rate.refused))),
  ];
}

function area(name, samples, x, height) {
  const stepOf = (rate, index) => [[x(samples[index].time), height(rate)], [x(rate.time), height(rate)]];
  const outline = samples.slice(1).flatMap(stepOf);
  const floor = [[x(samples.at(-1).time), HEIGHT - EDGE.bottom], [x(samples[0].time), HEIGHT - EDGE.bottom]];
  return [
    element("polygon", { class: `${name}-area`, points: pointsOf([...outline, ...floor]) }),
    element("polyline", { class: `${name}-line`, points: pointsOf(outline) }),
  ];
}

// The stretches with refusals, each with the sample before it, where its first step begins.
function refusals(shown) {
  const runs = [];
  for (let index = 1; index < shown.length; index += 1) {
    if (shown[index].refused === 0) continue;
    if (index === 1 || shown[index - 1].refused === 0) runs.push([shown[index - 1]]);
    runs.at(-1).push(shown[index]);
  }
  return runs;
}

function pointsOf(places) {
  return places.map(([across, down]) => `${across.toFixed(1)},${down.toFixed(1)}`).join(" ");
}

function grid(width, values, y) {
  const labels = tickLabels(values);
  return values.flatMap((value, index) => [
    element("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }),
    text({ x: EDGE.left - 6, y: y(value) + 4, "text-anchor": "end" }, labels[index]),
  ]);
}

function minutes(width) {
  const usable = width - EDGE.left - EDGE.right;
  return (width < WIDE ? [5, 3, 0] : [5, 4, 3, 2, 1, 0]).map((minute) => {
    const anchor = minute === 5 ? "start" : minute === 0 ? "end" : "middle";
    const place = { x: EDGE.left + usable * (1 - minute / 5), y: HEIGHT - 6, "text-anchor": anchor };
    return text(place, minute ? `${minute} min ago` : "now");
  });
}

function hatch() {
  const pattern = element("pattern", { id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse" });
  pattern.append(element("path", { class: "hatch", d: "M-1 1 1-1M0 5 5 0M4 6 6 4" }));
  const definitions = element("defs", {});
  definitions.append(pattern);
  return definitions;
}

function inWords() {
  if (!latest.length) return "No traffic has been recorded yet.";
  const most = Math.max(...latest.map((rate) => rate.answered));
  const refused = Math.max(...latest.map((rate) => rate.refused));
  return `Answered: at most ${most.toFixed(1)} per second. Refused: at most ${refused.toFixed(1)} per second.`;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function text(attributes, words) {
  const made = element("text", attributes);
  made.textContent = words;
  return made;
}
