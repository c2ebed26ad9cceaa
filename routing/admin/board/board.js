// The board's heart: asks the router twice a second, shows what it says, and says so when it does not answer.

import { ratesOf, showRates } from "./chart.js";
import { showAges, showEvents } from "./events.js";
import { enableOrders, showPredictors } from "./topology.js";
import { clock, duration, perSecond, whole } from "./words.js";

const ASK_EVERY_MS = 500;
const PATIENCE_MS = 2000;
const HISTORY_EVERY = 2; // asks
const EVENTS_SHOWN = 200;

const at = (id) => document.getElementById(id);
let lastAnswer = null; // epoch milliseconds
let lostSince = null;
let asks = 0;
let latest = null;

async function ask(path, options = {}) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store", ...options });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error ?? `the router answered ${answer.status}`);
  return body;
}

async function look() {
  try {
    const picture = await ask(`/topology?events=${EVENTS_SHOWN}`);
    if (asks % HISTORY_EVERY === 0 || lostSince !== null) showTraffic((await ask("/history")).samples);
    asks += 1;
    inTouch();
    show(picture);
  } catch {
    outOfTouch(); // whatever it was: the figures on the page may no longer be true
  }
  setTimeout(look, ASK_EVERY_MS);
}

function show(picture) {
  latest = picture;
  at("topology-name").textContent = picture.topology;
  at("topology-file").textContent = picture.file;
  document.title = `${picture.topology} – Router board`;
  showSince(picture);
  showPredictors(picture.predictors, order);
  showEvents(picture);
  showSummary(Object.values(picture.predictors), picture.refused);
}

function showSince({ topology, since }) {
  at("contact-for").textContent = `${topology} in service since ${clock(since)}`;
}

function showSummary(predictors, refused) {
  const serving = predictors.filter((predictor) => predictor.status);
  const sum = (key) => serving.reduce((total, predictor) => total + predictor[key], 0);
  const [load, capacity] = [sum("load"), sum("capacity")];
  at("sum-serving").textContent = `${serving.length} of ${predictors.length}`;
  at("sum-away").textContent = countStates(predictors.filter((predictor) => !predictor.status));
  at("sum-load").textContent = `${whole(load)} of ${whole(capacity)}`;
  at("sum-share").textContent = capacity ? `${Math.round((100 * load) / capacity)} %` : "nobody takes requests";
  at("sum-refused").textContent = whole(Object.values(refused).reduce((total, count) => total + count, 0));
  const reasons = Object.entries(refused).filter(([, count]) => count > 0);
  at("sum-reasons").textContent = reasons.map(([why, count]) => `${whole(count)} ${why.replace("_", " ")}`).join(", ");
}

function countStates(predictors) {
  const states = predictors.map((predictor) => predictor.state);
  return [...new Set(states)].map((state) => `${states.filter((s) => s === state).length} ${state}`).join(", ");
}

function showTraffic(samples) {
  const rates = ratesOf(samples);
  const now = rates.at(-1) ?? { answered: 0, refused: 0 };
  showRates(rates);
  at("rate-answered").textContent = at("sum-answered").textContent = perSecond(now.answered);
  at("rate-refused").textContent = perSecond(now.refused);
  at("clients-rate").textContent = `${perSecond(now.answered + now.refused)} requests/s`;
}

async function order(name, verb) {
  if (verb === "drain" && isLast(name)) {
    const sure = window.confirm(`${name} is the last predictor that takes requests: all requests will be refused. Drain it?`);
    if (!sure) return;
  }
  try {
    const headers = { "Content-Type": "application/json" };
    const body = await ask(`/predictors/${encodeURIComponent(name)}/${verb}`, { method: "POST", headers, body: "{}" });
    closeProblem();
    if (latest.predictors[name]) show({ ...latest, predictors: { ...latest.predictors, ...body } });
  } catch (error) {
    showProblem(`${name}: ${verb} did not work: ${error.name === "TimeoutError" ? "no answer in time" : error.message}`);
  }
}

// Whether nobody would serve without it: no other in rotation, and nobody standing by.
function isLast(name) {
  const others = Object.entries(latest.predictors).filter(([other]) => other !== name);
  return latest.predictors[name].status && !others.some(([, p]) => p.status || p.state === "standby");
}

function inTouch() {
  lastAnswer = Date.now();
  if (document.body.dataset.contact === "live") return;
  lostSince = null;
  document.body.dataset.contact = "live";
  at("contact-text").textContent = "Live";
  enableOrders(true);
}

function outOfTouch() {
  if (lostSince === null) {
    lostSince = lastAnswer ?? Date.now();
    document.body.dataset.contact = "lost";
    at("contact-text").textContent = `Out of touch since ${clock(lostSince / 1000)}`;
    enableOrders(false);
  }
  showSilence();
}

function showSilence() {
  if (lostSince !== null) at("contact-for").textContent = `No answer from the router for ${duration((Date.now() - lostSince) / 1000)}; trying again`;
}

function showProblem(text) {
  at("problem-text").textContent = text;
  at("problem").hidden = false;
}

function closeProblem() {
  at("problem").hidden = true;
}

at("problem-close").addEventListener("click", closeProblem);
setInterval(() => {
  showAges();
  showSilence();
}, 1000);
look();
