// A line over the last minutes, as SVG.

import { count, el, svg } from "./dom.js";

const WIDTH = 480;
const HEIGHT = 120;

/** Returns a round number that is not below the greatest value. */
export function ceiling(value) {
  const least = Math.max(value, 4);
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 4, 5, 10].map((step) => step * power).find((round) => round >= least);
}

function shown(value) {
  return value === null ? "–" : count(Math.round(value * 10) / 10);
}

/** A figure whose line `show` draws from values of equal distance, the newest last. */
export class Chart {
  constructor(title, unit, { points, span }) {
    this.points = points;
    this.values = [];
    this.value = el("strong", {}, "–");
    this.top = el("span", { class: "top" }, "");
    this.area = svg("path", { class: "area" });
    this.line = svg("path", { class: "line", "vector-effect": "non-scaling-stroke" });
    this.mark = svg("line", { class: "mark", y1: 0, y2: HEIGHT, "vector-effect": "non-scaling-stroke", visibility: "hidden" });
    const grid = [0, 0.5, 1].map((part) => svg("line", {
      class: "grid", x1: 0, x2: WIDTH, y1: 1 + part * (HEIGHT - 2), y2: 1 + part * (HEIGHT - 2), "vector-effect": "non-scaling-stroke",
    }));
    this.picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": title }, ...grid, this.area, this.line, this.mark);
    this.picture.addEventListener("pointermove", (event) => this.point(event));
    this.picture.addEventListener("pointerleave", () => this.leave());
    this.element = el("figure", { class: "chart" },
      el("figcaption", {}, el("span", {}, title), el("span", { class: "now" }, this.value, ` ${unit}`)),
      el("div", { class: "plot" }, this.top, this.picture),
      el("div", { class: "axis" }, el("span", {}, span), el("span", {}, "now")));
  }

  show(values) {
    this.values = values.slice(-this.points);
    const known = this.values.filter((value) => value !== null);
    const most = ceiling(Math.max(0, ...known));
    const first = this.points - this.values.length;
    const place = (value, index) => [
      ((first + index) / (this.points - 1)) * WIDTH,
      HEIGHT - 1 - (value / most) * (HEIGHT - 2),
    ];
    const runs = [[]];
    this.values.forEach((value, index) => {
      if (value === null) runs.push([]);
      else runs.at(-1).push(place(value, index));
    });
    const drawn = runs.filter((run) => run.length > 0);
    const path = (run) => run.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L");
    this.line.setAttribute("d", drawn.map((run) => `M${path(run)}`).join(""));
    this.area.setAttribute("d", drawn.map((run) => `M${run[0][0].toFixed(1)},${HEIGHT}L${path(run)}L${run.at(-1)[0].toFixed(1)},${HEIGHT}Z`).join(""));
    this.top.textContent = count(most);
    if (this.pointed === undefined) this.value.textContent = shown(this.values.at(-1) ?? null);
    this.picture.dataset.count = String(known.length);
  }

  point(event) {
    const box = this.picture.getBoundingClientRect();
    const at = Math.round(((event.clientX - box.left) / box.width) * (this.points - 1));
    const value = this.values[at - (this.points - this.values.length)];
    if (value === undefined) return this.leave();
    this.pointed = at;
    const x = (at / (this.points - 1)) * WIDTH;
    this.mark.setAttribute("x1", x);
    this.mark.setAttribute("x2", x);
    this.mark.setAttribute("visibility", "visible");
    this.value.textContent = shown(value);
  }

  leave() {
    this.pointed = undefined;
    this.mark.setAttribute("visibility", "hidden");
    this.value.textContent = shown(this.values.at(-1) ?? null);
  }
}
