// Accounts: the list, and every change that the command line offers.

import { ask, user } from "./api.js";
import { button, count, dialog, el, field, foreign, table, toast } from "./dom.js";

/** Names of accounts by their identity. */
export class Names {
  constructor() {
    this.names = new Map();
    this.at = -Infinity;
  }

  /** Reads the accounts, unless they were read just now. */
  async refresh(age = 10000) {
    if (performance.now() - this.at < age) return;
    const { users } = await ask("list-users");
    this.users = users;
    this.names = new Map(users.map(({ identity, name }) => [identity, name]));
    this.at = performance.now();
  }

  /** Returns an element with the name, or with the identity of an account that was deleted. */
  of(identity) {
    const name = this.names.get(identity);
    return name === undefined ? el("code", { class: "identity" }, identity) : foreign(name, { title: identity });
  }
}

export class Accounts {
  constructor(names) {
    this.names = names;
    this.filter = el("input", { type: "search", placeholder: "Filter by name", "aria-label": "Filter by name", listen: { input: () => this.show() } });
    this.list = el("div");
    this.element = el("section", {},
      el("div", { class: "title" }, el("h1", {}, "Accounts"), this.filter, button("New account", () => this.create(), { class: "primary" })),
      this.list);
  }

  async refresh({ isFirst }) {
    await this.names.refresh(isFirst ? 0 : 10000);
    if (this.shown !== this.names.at) this.show();
  }

  show() {
    this.shown = this.names.at;
    const wanted = this.filter.value.trim().toLowerCase();
    const rows = this.names.users.filter(({ name }) => name.toLowerCase().includes(wanted));
    const most = 500;
    this.list.replaceChildren(table([
      ["Name", (row) => el("div", {}, foreign(row.name, { class: "name" }), el("code", { class: "identity", title: "Identity" }, row.identity))],
      ["State", (row) => this.state(row)],
      ["Logins", (row) => count(row.logins), "number"],
      ["", (row) => this.actions(row), "actions"],
    ], rows.slice(0, most), "No account has such a name."),
    rows.length > most ? el("p", { class: "empty" }, `${count(rows.length - most)} more; filter by name.`) : "");
  }

  state(row) {
    const [kind, text] = row.is_blocked ? ["bad", "blocked"] : row.is_admin ? ["good", "administrator"] : ["plain", "user"];
    return el("span", { class: `badge ${kind}` }, text);
  }

  actions(row) {
    // Nobody takes the console away from themselves by a slip of the hand.
    const isOwn = row.identity === user()?.identity;
    const change = (request, text) => () => this.change(request, row, text);
    return el("span", { class: "buttons" },
      button("Set password", () => this.setPassword(row)),
      row.is_admin
        ? button("Make ordinary", change("make-user", "is an ordinary user now"), { disabled: isOwn })
        : button("Make admin", change("make-admin", "is an administrator now")),
      row.is_blocked
        ? button("Unblock", change("unblock-user", "may log in again"))
        : button("Block", change("block-user", "is blocked"), { disabled: isOwn }),
      button("Delete", () => this.remove(row), { class: "danger", disabled: isOwn }));
  }

  async apply(request, fields) {
    const reply = await ask(request, fields);
    await this.names.refresh(0);
    this.show();
    return reply;
  }

  async change(request, row, text) {
    try {
      await this.apply(request, { name: row.name });
      toast(`\u2068${row.name}\u2069 ${text}.`);
    } catch (error) {
      toast(error.message, "error");
    }
  }

  create() {
    dialog("New account", [
      field("Name", { name: "name", required: true, autocomplete: "off", maxlength: "255" }),
      field("Password", { name: "password", type: "password", autocomplete: "new-password" }, "Leave it empty, and the server makes one."),
      el("label", { class: "check" }, el("input", { type: "checkbox", name: "admin" }), el("span", {}, "Administrator")),
    ], {
      label: "Create",
      action: async ({ elements }) => {
        const name = elements.name.value;
        const password = elements.password.value || undefined;
        const reply = await this.apply("create-user", { name, password, is_admin: elements.admin.checked });
        this.tell(name, reply, "The account was created.");
      },
    });
  }

  setPassword(row) {
    const isOwn = row.identity === user()?.identity;
    dialog("Set a password", [
      el("p", {}, "All logins of ", foreign(row.name), " end", isOwn ? ", this one too: log in again." : "."),
      field("New password", { name: "password", type: "password", autocomplete: "new-password", required: isOwn }, isOwn ? undefined : "Leave it empty, and the server makes one."),
    ], {
      label: "Set password",
      action: async ({ elements }) => {
        const password = elements.password.value || undefined;
        const reply = await ask("set-password", { name: row.name, password });
        this.tell(row.name, reply, "The password was set.");
        await this.names.refresh(0).then(() => this.show()).catch(() => {});
      },
    });
  }

  /** Shows a password that the server made, once. */
  tell(name, reply, text) {
    if (!reply.password) return toast(text);
    const password = el("output", { class: "secret" }, reply.password);
    dialog(text, [
      el("p", {}, foreign(name), " may log in with this password. It is not shown again."),
      password,
      button("Copy", () => navigator.clipboard.writeText(reply.password).then(() => toast("Copied.")).catch(() => toast("The browser does not permit it.", "error"))),
    ], { label: "Close" });
  }

  remove(row) {
    const typed = el("input", { name: "name", required: true, autocomplete: "off" });
    dialog("Delete an account", [
      el("p", {}, "The account ", foreign(row.name), " and its rights are deleted, and its connections end. Its databases stay on the disk. This cannot be undone."),
      el("label", {}, el("span", {}, "Type the name to confirm"), typed),
    ], {
      label: "Delete",
      danger: true,
      action: async () => {
        if (typed.value.trim() !== row.name) throw new Error("This is another name.");
        await this.apply("delete-user", { name: row.name });
        toast("The account was deleted.");
      },
    });
  }
}
