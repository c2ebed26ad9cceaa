// The last five minutes as two stacked areas: requests answered, and refused on top of them.

const SPAN_S = 300;
const MEAN_S = 5;
const HEIGHT = 206;
const EDGE = { left: 38, right: 10, top: 10, bottom: 24 };
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
  const top = niceTop(Math.max(1, ...latest.map((rate) => rate.answered + rate.refused)));
  const x = (time) => EDGE.left + (width - EDGE.left - EDGE.right) * (1 - (now - time) / SPAN_S);
  const y = (value) => HEIGHT - EDGE.bottom - ((HEIGHT - EDGE.top - EDGE.bottom) * value) / top;
  const svg = element("svg", { width, height: HEIGHT, role: "img", "aria-label": inWords() });
  svg.append(hatch(), ...grid(width, top, y), ...minutes(width));
  const shown = latest.filter((rate) => now - rate.time <= SPAN_S);
  if (shown.length > 1) svg.append(...areas(shown, x, y));
  frame.replaceChildren(svg);
}

function areas(shown, x, y) {
  const line = (height) => shown.map((rate) => `${x(rate.time).toFixed(1)},${y(height(rate)).toFixed(1)}`);
  const floor = line(() => 0);
  const answered = line((rate) => rate.answered);
  const all = line((rate) => rate.answered + rate.refused);
  const drawn = [
    element("polygon", { class: "answered-area", points: [...floor, ...answered.toReversed()].join(" ") }),
    element("polyline", { class: "answered-line", points: answered.join(" ") }),
  ];
  if (shown.some((rate) => rate.refused > 0)) {
    drawn.push(element("polygon", { class: "refused-area", points: [...answered, ...all.toReversed()].join(" ") }));
    drawn.push(...refusedLines(shown, all));
  }
  return drawn;
}

// The upper edge, only where something is refused: elsewhere it would hide the edge of what is answered.
function refusedLines(shown, points) {
  const runs = [];
  let run = null;
  shown.forEach((rate, index) => {
    if (rate.refused > 0) {
      if (run === null) runs.push((run = points.slice(Math.max(0, index - 1), index)));
      run.push(points[index]);
    } else if (run !== null) {
      run.push(points[index]);
      run = null;
    }
  });
  return runs.map((part) => element("polyline", { class: "refused-line", points: part.join(" ") }));
}

function grid(width, top, y) {
  return [0, top / 2, top].flatMap((value) => [
    element("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }),
    text({ x: EDGE.left - 6, y: y(value) + 4, "text-anchor": "end" }, Number(value.toFixed(1)).toLocaleString("en")),
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

function niceTop(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 10].find((factor) => factor * unit >= value) * unit;
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
