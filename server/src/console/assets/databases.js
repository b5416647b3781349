// Databases, their clients, and entries that were refused.

import { ask } from "./api.js";
import { button, bytes, count, dialog, duration, el, foreign, table, toast } from "./dom.js";

/** Returns a path with the name of its owner. */
function pathOf(path, names) {
  const [, owner, ...rest] = path.split("/");
  return el("span", { class: "path", title: path }, names.of(owner), `/${rest.join("/")}`);
}

function link(page, path, text) {
  return el("a", { href: `#${page}${path}` }, text);
}

export class Databases {
  constructor(names) {
    this.names = names;
    this.list = el("div");
    this.element = el("section", {},
      el("div", { class: "title" }, el("h1", {}, "Databases"), button("Run the upkeep", (event) => this.keep(event.target))),
      this.list);
  }

  async refresh() {
    await this.names.refresh();
    const { databases } = await ask("sync-databases");
    const most = 500;
    this.list.replaceChildren(table([
      ["Database", (row) => link("clients", row.path, pathOf(row.path, this.names))],
      ["Size", (row) => bytes(row.bytes), "number"],
      ["Sessions", (row) => count(row.sessions), "number"],
      ["Entries", (row) => count(row.head), "number"],
      ["Horizon", (row) => count(row.horizon), "number"],
      ["Backed up", (row) => count(row.durable_seq), "number"],
      ["History", (row) => bytes(row.history_bytes), "number"],
      ["Lag", (row) => count(row.behind), "number"],
      ["", (row) => link("letters", row.path, "Refused entries"), "actions"],
    ], databases.slice(0, most), "No client has opened a database yet."),
    el("p", { class: "empty" }, databases.length > most
      ? `${count(databases.length - most)} more; \u201cfastness server databases\u201d lists all.`
      : databases.some((row) => row.head === null) ? "A dash stands for a database that is not open." : ""));
  }

  async keep(pressed) {
    pressed.disabled = true;
    try {
      const { failures } = await ask("sync-upkeep");
      if (failures > 0) toast(`The upkeep failed for ${count(failures)}; the log of the server says why.`, "error");
      else toast("The upkeep has run.");
    } catch (error) {
      toast(error.message, "error");
    } finally {
      pressed.disabled = false;
    }
  }
}

const STATES = { online: "good", offline: "plain", expired: "bad", "earlier epoch": "bad" };

/** Clients of one database. */
export class Clients {
  constructor(names, path) {
    Object.assign(this, { names, path });
    this.list = el("div");
    this.element = el("section", {},
      el("p", { class: "back" }, el("a", { href: "#databases" }, "Databases")),
      el("h1", {}, "Clients"), el("p", { class: "path" }, path), this.list);
  }

  async refresh() {
    await this.names.refresh();
    const { clients, head } = await ask("sync-clients", { path: this.path });
    this.list.replaceChildren(table([
      ["Client", (row) => count(row.client), "number"],
      ["State", (row) => el("span", { class: `badge ${STATES[row.state] ?? "plain"}` }, row.state)],
      ["User", (row) => this.names.of(row.user)],
      ["Own entries", (row) => count(row.last_client_seq), "number"],
      ["Cursor", (row) => `${count(row.needs)} of ${count(head)}`, "number"],
      ["Behind", (row) => count(row.behind), "number"],
      ["Last contact", (row) => (row.seconds_since_contact === null ? null : `${duration(row.seconds_since_contact)} ago`), "number"],
      ["", (row) => button("Expire", () => this.expire(row), { disabled: row.seconds_since_contact === null }), "actions"],
    ], clients, "No client has opened this database yet."));
  }

  expire(row) {
    dialog("Expire a client", [
      el("p", {}, `No more history is kept for client ${row.client} of `, this.names.of(row.user), ". If it returns after the next upkeep, it may have to perform a client reset, which keeps its data."),
    ], {
      label: "Expire",
      danger: true,
      action: async () => {
        await ask("sync-expire", { path: this.path, client: row.client });
        toast(`Client ${row.client} is expired.`);
        await this.refresh();
      },
    });
  }
}

const REASONS = {
  forbidden: "The user could only read.",
  schema: "A definition conflicts with the schema.",
  element: "An id of a list element was used before, or is of another user.",
  limit: "A limit is exceeded.",
  malformed: "The entry cannot be decoded.",
};

/** Entries of one database that were refused. */
export class Letters {
  constructor(names, path) {
    Object.assign(this, { names, path });
    this.list = el("div");
    this.element = el("section", {},
      el("p", { class: "back" }, el("a", { href: "#databases" }, "Databases")),
      el("h1", {}, "Refused entries"), el("p", { class: "path" }, path), this.list);
  }

  async refresh() {
    await this.names.refresh();
    const { dead_letters: letters } = await ask("sync-dead-letters", { path: this.path });
    this.list.replaceChildren(table([
      ["Entry", (row) => this.entry(row)],
      ["User", (row) => (row.user ? this.names.of(row.user) : null)],
      ["When", (row) => (row.seconds === undefined ? null : `${duration(row.seconds)} ago`), "number"],
      ["Client", (row) => el("span", { class: "badge plain" }, row.is_pending ? "may not know yet" : "knows")],
      ["", (row) => (row.number === null ? null : this.actions(row)), "actions"],
    ], letters, "No entry was refused."));
  }

  entry(row) {
    const lines = row.operations.map((text, index) => el("li", { class: index === row.operation ? "refused" : "" }, foreign(text)));
    return el("div", { class: "entry" },
      el("p", {}, el("strong", {}, REASONS[row.reason] ?? row.reason), ` Entry ${count(row.client_seq)} of client ${row.client}.`),
      lines.length > 0 ? el("ol", { class: "operations" }, ...lines) : el("p", { class: "empty" }, "The operations are not kept."));
  }

  actions(row) {
    return el("span", { class: "buttons" },
      button("Retry", () => this.retry(row), { disabled: !row.may_retry }),
      button("Discard", () => this.discard(row), { class: "danger" }));
  }

  retry(row) {
    dialog("Retry a refused entry", [
      el("p", {}, "The entry is submitted again in the name of ", this.names.of(row.user), ", with the right to write and through the same checks. It merges as if it arrived now with the time at which it was written."),
    ], {
      label: "Retry",
      action: async () => {
        const { seq } = await ask("sync-retry", { path: this.path, number: row.number });
        toast(`It is entry ${count(seq)} of the history now.`);
        await this.refresh();
      },
    });
  }

  discard(row) {
    dialog("Discard a refused entry", [
      el("p", {}, "The server forgets the entry. The device that wrote it keeps its own copy."),
    ], {
      label: "Discard",
      danger: true,
      action: async () => {
        await ask("sync-discard", { path: this.path, number: row.number });
        toast("The entry was discarded.");
        await this.refresh();
      },
    });
  }
}
