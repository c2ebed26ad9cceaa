// The topology as a picture: a bar of load against capacity for each predictor, grouped by region.

import { roleOf, stateOf, whole } from "./words.js";

const ROWS_IN_A_COLUMN = 6; // with more predictors, cards side by side
const MOST_SLOTS_DRAWN = 40;

const groups = document.getElementById("groups");
const flow = document.getElementById("flow");
const template = document.getElementById("predictor");
let rows = new Map();
let shape = "";

// Show the predictors; `order(name, verb)` is called when a button is pressed and returns a promise.
export function showPredictors(predictors, order) {
  const entries = Object.entries(predictors);
  const wanted = JSON.stringify(entries.map(([name, predictor]) => [name, predictor.region]));
  if (wanted !== shape) build(entries, order);
  shape = wanted;
  for (const [name, predictor] of entries) rows.get(name).show(predictor);
}

export function enableOrders(enabled) {
  for (const row of rows.values()) row.enable(enabled);
}

function build(entries, order) {
  rows = new Map();
  flow.classList.toggle("many", entries.length > ROWS_IN_A_COLUMN);
  const regions = [...new Set(entries.map(([, predictor]) => predictor.region))];
  groups.replaceChildren(...regions.map((region) => group(region, regions.length > 1, entries, order)));
}

function group(region, titled, entries, order) {
  const section = document.createElement("section");
  section.className = "group";
  if (titled || region !== null) {
    const title = document.createElement("h3");
    title.textContent = region === null ? "No region" : `Region ${region}`;
    section.append(title);
  }
  const list = document.createElement("ul");
  for (const [name] of entries.filter(([, predictor]) => predictor.region === region)) {
    const row = new Row(name, order);
    rows.set(name, row);
    list.append(row.item);
  }
  section.append(list);
  return section;
}

class Row {
  constructor(name, order) {
    this.item = template.content.firstElementChild.cloneNode(true);
    this.part = (selector) => this.item.querySelector(selector);
    this.button = this.part(".order");
    this.busy = false;
    this.enabled = true;
    this.item.dataset.name = name;
    this.part(".name").textContent = name;
    this.part(".bar").setAttribute("aria-label", `load of ${name}`);
    this.button.addEventListener("click", () => this.press(name, order));
  }

  show(predictor) {
    const { load, capacity, peak_load: peak } = predictor;
    this.item.dataset.state = predictor.state;
    this.item.dataset.full = predictor.state === "serving" && load >= capacity;
    write(this.part(".role"), roleOf(predictor));
    write(this.part(".word"), stateOf(predictor));
    write(this.part(".figure"), `${whole(load)} / ${whole(capacity)}`);
    write(this.part(".peak-load"), whole(peak));
    write(this.part(".served"), whole(predictor.served));
    write(this.part(".failed"), whole(predictor.failed));
    this.part(".failed").classList.toggle("some", predictor.failed > 0);
    this.drawBar(load, capacity, peak);
    this.drained = predictor.state === "draining" || predictor.state === "drained";
    this.showButton();
  }

  drawBar(load, capacity, peak) {
    const bar = this.part(".bar");
    bar.setAttribute("aria-valuenow", Math.min(load, capacity));
    bar.setAttribute("aria-valuemax", capacity);
    bar.setAttribute("aria-valuetext", `${load} of ${capacity}`);
    bar.style.setProperty("--load", Math.min(1, load / capacity));
    bar.style.setProperty("--peak", Math.min(1, peak / capacity));
    bar.style.setProperty("--slots", capacity <= MOST_SLOTS_DRAWN ? capacity : 1);
    this.part(".peak").hidden = peak === 0;
  }

  enable(enabled) {
    this.enabled = enabled;
    this.showButton();
  }

  // aria-disabled, not disabled: the button keeps the keyboard's focus while it waits.
  showButton() {
    const verb = this.drained ? "Ready" : "Drain";
    write(this.button, this.busy ? "Asking" : verb);
    this.button.setAttribute("aria-label", `${verb} ${this.item.dataset.name}`);
    this.button.setAttribute("aria-disabled", this.busy || !this.enabled);
    this.button.setAttribute("aria-busy", this.busy);
    this.button.title = this.drained ? "Put it back into the rotation" : "Give it nothing new; what it has finishes";
  }

  async press(name, order) {
    if (this.busy || !this.enabled) return;
    this.busy = true;
    this.showButton();
    try {
      await order(name, this.drained ? "ready" : "drain");
    } finally {
      this.busy = false;
      this.showButton();
    }
  }
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
