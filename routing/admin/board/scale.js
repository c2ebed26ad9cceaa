// The chart's vertical scale. Nothing here touches the page.

const STEPS = [1, 2, 5, 10];
const MOST_STEPS = 6;

// From 0 to the first round step at or above `most`, in steps of 1, 2 or 5 times a power of ten, six at most.
export function ticks(most) {
  const unit = 10 ** Math.floor(Math.log10(most / MOST_STEPS));
  const step = STEPS.map((factor) => factor * unit).find((each) => most / each <= MOST_STEPS + 1e-9);
  const count = Math.ceil(most / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, number) => Number((number * step).toPrecision(12)));
}

// All with as many decimals as the step needs.
export function tickLabels(values) {
  const decimals = Math.max(0, -Math.floor(Math.log10(values[1]) + 1e-9));
  return values.map((value) => value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }));
}
