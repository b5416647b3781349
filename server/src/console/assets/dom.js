// Elements of the pages. Text of the server becomes text nodes only, so it is never read as markup,
// and stands in an element of its own direction, so it does not reorder its neighbours.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name === "listen") {
      for (const [event, action] of Object.entries(value)) element.addEventListener(event, action);
    } else if (typeof value === "boolean") {
      element.toggleAttribute(name, value);
    } else if (value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Makes an element of HTML. `listen` has the listeners of its events. */
export function el(name, properties = {}, ...children) {
  return fill(document.createElement(name), properties, children);
}

/** Makes an element of SVG. */
export function svg(name, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, name), properties, children);
}

/** Makes an element for a text that a person or an app chose. */
export function foreign(text, properties = {}) {
  return el("bdi", properties, String(text));
}

export function button(text, action, properties = {}) {
  return el("button", { type: "button", listen: { click: action }, ...properties }, text);
}

/** Makes a table. A column is a heading, a function from a row to a cell, and a class. */
export function table(columns, rows, empty) {
  if (rows.length === 0) return el("p", { class: "empty" }, empty);
  const heading = el("tr", {}, ...columns.map(([name, , kind]) => el("th", { class: kind ?? "", scope: "col" }, name)));
  const lines = rows.map((row) => el("tr", {}, ...columns.map(([name, cell, kind]) => {
    const content = cell(row);
    return el("td", { class: kind ?? "", "data-label": name }, content ?? "–");
  })));
  return el("div", { class: "scroll" }, el("table", {}, el("thead", {}, heading), el("tbody", {}, ...lines)));
}

/** Shows a message for a while. */
export function toast(text, kind = "done") {
  const message = el("p", { class: `toast ${kind}` }, text);
  const place = document.getElementById("toasts");
  place.append(message);
  while (place.children.length > 3) place.firstChild.remove();
  setTimeout(() => message.remove(), kind === "error" ? 10000 : 5000);
}

/**
 * Opens a dialog with a form. `action` gets the form; the dialog closes when it succeeds, and shows
 * the message of its error.
 */
export function dialog(title, content, { label, action, danger = false }) {
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const submit = el("button", { type: "submit", class: danger ? "danger" : "primary" }, label);
  const cancel = action ? button("Cancel", () => box.close()) : null;
  const form = el("form", {}, el("h2", {}, title), ...content, problem, el("div", { class: "actions" }, cancel, submit));
  const box = el("dialog", { "aria-label": title, listen: { close: () => box.remove() } }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!action) return box.close();
    submit.disabled = true;
    try {
      await action(form);
      box.close();
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    } finally {
      submit.disabled = false;
    }
  });
  document.body.append(box);
  box.showModal();
  return box;
}

export function field(label, properties, hint) {
  return el("label", {}, el("span", {}, label), el("input", properties), hint ? el("small", {}, hint) : null);
}

const NUMBERS = new Intl.NumberFormat("en");

export function count(value) {
  return value === null || value === undefined ? null : NUMBERS.format(value);
}

export function bytes(value) {
  if (value === null || value === undefined) return null;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit += 1) value /= 1024;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return null;
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}
