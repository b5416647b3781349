// The overview: health, numbers, and lines of the last minutes; and the connections.

import { ask, health } from "./api.js";
import { Chart } from "./chart.js";
import { button, bytes, count, dialog, duration, el, foreign, table, toast } from "./dom.js";

const INTERVAL_SECONDS = 2;
const POINTS = 121;

/** Samples since the login, which all pages share. */
export class History {
  constructor() {
    this.rates = [];
    this.connections = [];
    this.lags = [];
    this.last = null;
  }

  /** Adds a report of the server, or null for a server that does not answer. */
  add(status, now) {
    const numbers = status?.numbers;
    let rate = null;
    if (numbers && this.last) {
      const seconds = (now - this.last.now) / 1000;
      const entries = numbers.sync_entries_total - this.last.entries;
      // A server that was started again counts from 0.
      rate = seconds > 0 ? Math.max(0, entries) / seconds : 0;
    }
    this.last = numbers ? { now, entries: numbers.sync_entries_total } : null;
    for (const [list, value] of [
      [this.rates, numbers ? rate ?? 0 : null],
      [this.connections, numbers ? numbers.sync_connections : null],
      [this.lags, numbers ? numbers.sync_behind_entries : null],
    ]) {
      list.push(value);
      if (list.length > POINTS) list.shift();
    }
  }
}

function card(title) {
  const value = el("strong", {}, "–");
  return { value, element: el("div", { class: "card" }, el("span", {}, title), value) };
}

export class Overview {
  constructor(history) {
    this.history = history;
    const names = ["Health", "Uptime", "Connections", "Sessions", "Databases", "Entries", "Refused", "Failures"];
    this.cards = new Map(names.map((name) => [name, card(name)]));
    const size = { points: POINTS, span: `${((POINTS - 1) * INTERVAL_SECONDS) / 60} min ago` };
    this.charts = [
      [new Chart("Throughput", "entries/s", size), history.rates],
      [new Chart("Connections", "open", size), history.connections],
      [new Chart("Lag of the slowest client", "entries", size), history.lags],
    ];
    this.version = el("p", { class: "version" });
    this.element = el("section", {}, el("h1", {}, "Overview"),
      el("div", { class: "cards" }, ...[...this.cards.values()].map(({ element }) => element)),
      el("div", { class: "charts" }, ...this.charts.map(([chart]) => chart.element)), this.version);
  }

  async refresh({ status }) {
    const state = await health();
    const isHealthy = Boolean(state?.isHealthy);
    const numbers = status?.numbers ?? {};
    const values = {
      Health: state === null ? "unreachable" : isHealthy ? "healthy" : state.text,
      Uptime: duration(status?.uptime_seconds),
      Connections: count(numbers.sync_connections),
      Sessions: count(numbers.sync_sessions),
      Databases: count(numbers.sync_databases),
      Entries: count(numbers.sync_entries_total),
      Refused: count(numbers.sync_refused_entries_total),
      Failures: count(numbers.sync_failures_total),
    };
    for (const [name, { value, element }] of this.cards) {
      value.textContent = values[name] ?? "–";
      element.classList.toggle("good", name === "Health" && isHealthy);
      element.classList.toggle("bad", (name === "Health" && !isHealthy) || (name === "Failures" && numbers.sync_failures_total > 0));
    }
    for (const [chart, values] of this.charts) chart.show(values);
    if (status) this.version.textContent = `Fastness ${status.version}. Numbers count from the start of the server.`;
  }
}

/** The connections of sync. */
export class Connections {
  constructor(names) {
    this.names = names;
    this.list = el("div");
    this.element = el("section", {}, el("h1", {}, "Connections"), this.list);
  }

  async refresh({ status }) {
    if (!status) return;
    await this.names.refresh();
    const rows = status.connections;
    this.list.replaceChildren(table([
      ["Connection", (row) => count(row.connection), "number"],
      ["User", (row) => (row.user ? this.names.of(row.user) : "no token yet")],
      ["Since", (row) => duration(row.seconds), "number"],
      ["Waiting", (row) => bytes(row.bytes_waiting), "number"],
      ["", (row) => button("Kick", () => this.kick(row)), "actions"],
    ], rows, "No client is connected."));
  }

  kick(row) {
    const who = row.user ? this.names.of(row.user) : foreign(`connection ${row.connection}`);
    dialog("End a connection", [
      el("p", {}, "The connection of ", who, " ends. The client connects again; block the account to keep it out."),
    ], {
      label: "Kick",
      action: async () => {
        const { ended } = await ask("sync-kick", { who: String(row.connection) });
        toast(ended === 1 ? "The connection was ended." : "The connection had ended already.");
      },
    });
  }
}

export { INTERVAL_SECONDS };
