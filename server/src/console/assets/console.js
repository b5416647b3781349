// The console: login, navigation, and the poll of the page that is shown.

import { ask, logIn, logOut, user } from "./api.js";
import { Accounts, Names } from "./accounts.js";
import { Clients, Databases, Letters } from "./databases.js";
import { button, el, field, foreign } from "./dom.js";
import { Connections, History, INTERVAL_SECONDS, Overview } from "./overview.js";

const PAGES = [["overview", "Overview"], ["accounts", "Accounts"], ["databases", "Databases"], ["connections", "Connections"]];
/** Pages of one database, and the tab that they belong to. */
const INNER = { clients: Clients, letters: Letters };

const header = document.getElementById("header");
const main = document.getElementById("main");

let state = null;

function begin() {
  state = { names: new Names(), history: new History(), page: null, timer: 0 };
  const tabs = PAGES.map(([name, title]) => el("a", { href: `#${name}`, "data-page": name }, title));
  header.replaceChildren(
    el("a", { class: "brand", href: "#overview" }, el("img", { src: "/console/icon.svg", alt: "", width: "22", height: "22" }), "Fastness"),
    el("nav", {}, ...tabs),
    el("div", { class: "user" }, foreign(user().name), button("Log out", leave)));
  header.hidden = false;
  navigate();
  poll();
}

function end(message) {
  if (state) clearTimeout(state.timer);
  state = null;
  header.hidden = true;
  header.replaceChildren();
  for (const open of document.querySelectorAll("dialog")) open.close();
  showLogin(message);
}

async function leave() {
  await logOut();
  end("");
}

function showLogin(message) {
  const problem = el("p", { class: "problem", role: "alert", hidden: !message }, message ?? "");
  const submit = el("button", { type: "submit", class: "primary" }, "Log in");
  const form = el("form", { class: "login" },
    el("img", { src: "/console/icon.svg", alt: "", width: "40", height: "40" }),
    el("h1", {}, "Fastness console"),
    field("Name", { name: "name", required: true, autocomplete: "username", autocapitalize: "off", spellcheck: "false" }),
    field("Password", { name: "password", type: "password", required: true, autocomplete: "current-password" }),
    problem, submit,
    el("small", {}, "For administrators. A reload of this page ends the login."));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    problem.hidden = true;
    try {
      await logIn(form.elements.name.value, form.elements.password.value);
      begin();
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
      form.elements.password.value = "";
      form.elements.password.focus();
    } finally {
      submit.disabled = false;
    }
  });
  main.replaceChildren(form);
  form.elements.name.focus();
}

function pageOf(address) {
  const slash = address.indexOf("/");
  const name = slash < 0 ? address : address.slice(0, slash);
  const { names, history } = state;
  if (slash >= 0 && INNER[name]) return ["databases", new INNER[name](names, address.slice(slash))];
  switch (name) {
    case "accounts": return [name, new Accounts(names)];
    case "databases": return [name, new Databases(names)];
    case "connections": return [name, new Connections(names)];
    default: return ["overview", new Overview(history)];
  }
}

function navigate() {
  if (!state) return;
  const [tab, page] = pageOf(decodeURIComponent(location.hash.slice(1)));
  for (const link of header.querySelectorAll("nav a")) {
    if (link.dataset.page === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  state.page = page;
  state.problem = el("p", { class: "problem", role: "alert", hidden: true });
  page.element.prepend(state.problem);
  main.replaceChildren(page.element);
  document.title = `${page.element.querySelector("h1").textContent} \u2013 Fastness console`;
  refresh(true);
}

/** Shows what the server says now. A problem is shown until an answer comes. */
async function refresh(isFirst) {
  const current = state;
  const { page, problem } = current;
  try {
    // The list under the pointer stays while a dialog is open.
    if (isFirst || !document.querySelector("dialog")) await page.refresh({ status: current.status, isFirst });
    problem.hidden = !current.failure;
    problem.textContent = current.failure ?? "";
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  }
}

async function poll() {
  const current = state;
  if (!current) return;
  if (!document.hidden) {
    try {
      current.status = await ask("sync-status");
      current.failure = null;
    } catch (error) {
      current.status = null;
      current.failure = error.message;
    }
    if (state !== current) return;
    current.history.add(current.status, performance.now());
    await refresh(false);
  }
  if (state === current) current.timer = setTimeout(poll, INTERVAL_SECONDS * 1000);
}

addEventListener("hashchange", navigate);
addEventListener("login-ended", (event) => end(event.detail));
showLogin("");
