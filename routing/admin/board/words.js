// How figures and times read to people. Nothing here touches the page.

export const whole = (number) => number.toLocaleString("en");

export const perSecond = (rate) => (rate >= 100 ? whole(Math.round(rate)) : rate.toFixed(1));

export function clock(seconds) {
  const time = new Date(seconds * 1000);
  const today = time.toDateString() === new Date().toDateString();
  return (today ? "" : time.toLocaleDateString("en-CA") + " ") + time.toLocaleTimeString("en-GB");
}

export function duration(seconds) {
  const passed = Math.max(0, Math.floor(seconds));
  if (passed < 60) return `${passed} s`;
  if (passed < 3600) return `${Math.floor(passed / 60)} min`;
  if (passed < 86400) return `${Math.floor(passed / 3600)} h`;
  return `${Math.floor(passed / 86400)} d`;
}

export const ago = (seconds) => (seconds < 1 ? "just now" : `${duration(seconds)} ago`);

// A predictor's state in a few words; `state` is the router's own word.
export function stateOf(predictor) {
  if (predictor.state === "serving" && predictor.load >= predictor.capacity) return "serving, full";
  if (predictor.state === "standby") return "standing by";
  if (predictor.state === "cold") return "not running";
  if (predictor.state === "wanted") return "wanted: start it";
  if (predictor.state === "draining") return `draining, ${predictor.load} to finish`;
  return predictor.state;
}

export function roleOf(predictor) {
  const role = predictor.standby === "cold" ? "cold standby" : predictor.role;
  const promoted = predictor.role === "standby" && predictor.status;
  return promoted ? `${role}, promoted` : role;
}
